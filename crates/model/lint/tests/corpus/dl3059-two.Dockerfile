# finds DL3059:4
FROM debian:12.5
RUN make
RUN make-install
