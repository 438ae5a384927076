# finds DL3000:3
FROM debian:12.5
WORKDIR srv/app
