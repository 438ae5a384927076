# finds SC3039:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN let X=1; echo "$X"
