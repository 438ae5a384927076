# finds SC3014:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN [ "$HOME" == /root ]
