# finds nothing
FROM debian:12.5
LABEL org.example.version="1"
