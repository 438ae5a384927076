# finds SC2155:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN export KERNEL="$(uname -r)" && make
