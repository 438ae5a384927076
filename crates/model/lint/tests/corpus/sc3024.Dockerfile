# finds SC3024:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN PATH+=:/srv/bin
