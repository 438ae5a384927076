# finds DL4006:4 SC2038:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN find /srv -type f | xargs rm
