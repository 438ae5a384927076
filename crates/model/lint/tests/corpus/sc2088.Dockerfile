# finds SC2088:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN ls "~/bin"
