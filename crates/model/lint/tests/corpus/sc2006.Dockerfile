# finds SC2006:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN ver="`uname -r`" && make VER="$ver"
