# finds nothing
FROM debian:12.5
COPY app.tar.gz /srv/
RUN sha256sum /srv/app.tar.gz
