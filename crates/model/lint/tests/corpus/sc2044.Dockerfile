# finds SC2044:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN for file in $(find /srv -name x); do cp "$file" /tmp/; done
