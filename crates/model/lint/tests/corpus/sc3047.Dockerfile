# finds SC3047:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN trap true ERR
