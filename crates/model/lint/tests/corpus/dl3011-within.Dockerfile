# finds nothing
FROM debian:12.5
EXPOSE 80/tcp 8000-8080/udp 65535
