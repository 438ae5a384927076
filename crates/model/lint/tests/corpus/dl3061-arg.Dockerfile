# finds nothing
# the version
ARG V=12.5
FROM debian:${V}
