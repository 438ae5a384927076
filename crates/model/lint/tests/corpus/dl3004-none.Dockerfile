# finds nothing
FROM debian:12.5
RUN gosu app make install
