# finds nothing
FROM debian:12.5 AS a
HEALTHCHECK CMD ["/bin/one"]
FROM debian:12.5
HEALTHCHECK CMD ["/bin/two"]
