# finds SC2015:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN test -f /srv/a && cp /srv/a /srv/b || rm /srv/b
