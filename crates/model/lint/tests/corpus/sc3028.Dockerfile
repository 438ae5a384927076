# finds SC3028:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN echo "$HOSTNAME"
