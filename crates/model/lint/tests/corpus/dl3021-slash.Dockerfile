# finds nothing
FROM debian:12.5
COPY one two /srv/
