# finds SC2016:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN echo 'export PATH=$HOME/bin'
