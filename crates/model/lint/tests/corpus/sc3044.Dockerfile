# finds SC3044:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN pushd /srv && make
