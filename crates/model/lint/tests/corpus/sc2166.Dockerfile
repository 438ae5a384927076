# finds SC2166:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN [ -f /srv/a -a -f /srv/b ]
