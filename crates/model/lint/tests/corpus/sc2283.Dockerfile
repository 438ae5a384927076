# finds SC2283:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN name = value
