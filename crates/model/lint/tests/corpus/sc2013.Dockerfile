# finds SC2013:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN for word in $(cat /srv/words); do echo "$word"; done
