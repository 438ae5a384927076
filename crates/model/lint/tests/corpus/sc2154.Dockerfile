# finds SC2154:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN cp "$source" /srv/
