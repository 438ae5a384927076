# finds SC3046:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN source /etc/profile
