# finds SC3011:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN cat <<< text
