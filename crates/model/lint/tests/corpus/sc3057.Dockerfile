# finds SC3057:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN echo "${HOME:1:2}"
