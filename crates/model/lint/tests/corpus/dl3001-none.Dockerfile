# finds nothing
FROM debian:12.5
RUN nginx -t
