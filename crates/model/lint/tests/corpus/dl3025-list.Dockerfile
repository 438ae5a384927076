# finds nothing
FROM debian:12.5
ENTRYPOINT ["/srv/app"]
CMD ["--verbose"]
