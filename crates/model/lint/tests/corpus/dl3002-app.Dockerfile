# finds nothing
FROM debian:12.5
USER root
RUN useradd app
USER 1000:1000
