# finds SC2028:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN echo 'one\ttwo'
