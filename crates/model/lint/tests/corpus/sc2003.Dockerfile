# finds SC2003:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN expr 1 + 1
