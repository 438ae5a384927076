# finds SC3050:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN printf '%q' a
