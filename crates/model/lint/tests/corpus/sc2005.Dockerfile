# finds SC2005:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN echo "$(date)"
