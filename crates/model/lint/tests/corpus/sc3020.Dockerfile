# finds SC3020:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN make &> /tmp/log
