# finds SC3003:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN printf %s $'a'
