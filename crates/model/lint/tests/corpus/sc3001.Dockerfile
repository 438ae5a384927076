# finds SC3001:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN diff <(sort /a) <(sort /b)
