# finds nothing
ARG V=1
FROM debian:12.5 AS base
ENV name=plain
FROM base
ARG V
RUN cp $name "$V" /srv/
