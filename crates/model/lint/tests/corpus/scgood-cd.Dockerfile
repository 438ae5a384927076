# finds nothing
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN set -e; true; mkdir -p /srv
