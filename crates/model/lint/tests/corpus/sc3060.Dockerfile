# finds SC3060:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN echo "${HOME/a/b}"
