# finds nothing
FROM debian:12.5 AS base
WORKDIR /srv
FROM base
COPY app app
