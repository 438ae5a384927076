# finds DL3003:3
FROM debian:12.5
RUN cd /srv/app && make
