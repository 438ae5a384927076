# finds DL3020:3
FROM debian:12.5
ADD app.conf /etc/app.conf
