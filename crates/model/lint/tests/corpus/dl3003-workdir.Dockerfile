# finds nothing
FROM debian:12.5
WORKDIR /srv/app
RUN make
