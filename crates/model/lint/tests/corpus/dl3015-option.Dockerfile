# finds nothing
FROM debian:12.5
RUN apt-get install -y -o APT::Install-Recommends=false curl=7.88.*
