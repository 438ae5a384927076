# finds SC3037:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN echo -e text
