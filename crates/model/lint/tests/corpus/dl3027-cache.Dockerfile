# finds nothing
FROM debian:12.5
RUN apt-cache show curl
