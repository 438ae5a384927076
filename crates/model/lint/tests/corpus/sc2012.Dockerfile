# finds DL4006:4 SC2012:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN ls /srv | wc -l
