# finds SC3009:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN mkdir -p /srv/{a,b}
