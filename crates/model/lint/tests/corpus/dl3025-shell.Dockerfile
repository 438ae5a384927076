# finds DL3025:3 DL3025:4
FROM debian:12.5
ENTRYPOINT /srv/app
CMD serve
