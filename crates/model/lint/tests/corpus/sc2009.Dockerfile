# finds DL3001:4 DL4006:4 SC2009:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN ps aux | grep nginx
