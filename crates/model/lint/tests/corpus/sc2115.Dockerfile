# finds SC2115:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN rm -rf "$DATA/usr"
