# finds nothing
FROM debian:12.5
ARG BASE=/srv
WORKDIR "/srv/app"
WORKDIR ${BASE}/data
