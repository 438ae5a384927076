# finds DL3003:4 SC2164:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN cd /srv; make
