# finds DL3012:4
FROM debian:12.5
HEALTHCHECK CMD ["/bin/one"]
HEALTHCHECK CMD ["/bin/two"]
