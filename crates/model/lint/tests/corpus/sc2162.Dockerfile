# finds SC2162:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN while read line; do echo "$line"; done < /srv/a
