# finds SC2174:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN mkdir -p -m 700 /srv/a/b
