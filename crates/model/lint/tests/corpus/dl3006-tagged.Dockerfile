# finds nothing
ARG V=12
FROM debian:${V} AS base
FROM base
FROM scratch
