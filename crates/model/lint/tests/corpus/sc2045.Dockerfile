# finds SC2045:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN for file in $(ls /srv); do cp "$file" /tmp/; done
