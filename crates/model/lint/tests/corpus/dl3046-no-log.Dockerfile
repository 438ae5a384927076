# finds nothing
FROM debian:12.5
RUN useradd --no-log-init -u 1234567 app
