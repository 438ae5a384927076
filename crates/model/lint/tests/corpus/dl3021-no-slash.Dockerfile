# finds DL3021:3
FROM debian:12.5
COPY one two /srv
