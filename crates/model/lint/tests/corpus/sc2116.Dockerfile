# finds SC2116:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN cp "$(echo /srv/a)" /srv/b
