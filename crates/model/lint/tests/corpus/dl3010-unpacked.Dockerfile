# finds DL3010:3
FROM debian:12.5
COPY app.tar.gz /tmp/
RUN tar -xzf /tmp/app.tar.gz -C /srv
