# finds SC2114:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN rm -rf /usr
