# finds nothing
FROM debian:12.5
RUN make
COPY a /a
RUN make-install
