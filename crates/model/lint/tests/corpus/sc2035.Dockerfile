# finds SC2035:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN rm -f *.o
