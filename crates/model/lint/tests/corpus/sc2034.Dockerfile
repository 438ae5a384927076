# finds SC2034:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN unused=1; make
