# finds SC2059:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN name=x && printf "hello $name" > /srv/a
