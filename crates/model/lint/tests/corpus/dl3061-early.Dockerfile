# finds DL3061:2
RUN make
FROM debian:12.5
