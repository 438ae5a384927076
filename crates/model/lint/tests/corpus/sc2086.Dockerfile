# finds SC2086:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN cp $SOURCE /srv/
