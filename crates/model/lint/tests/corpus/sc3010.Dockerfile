# finds SC3010:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN [[ -f /srv/a ]]
