# finds nothing
FROM debian:12.5 AS tools
RUN apt-get update
FROM debian:12.5
COPY --from=tools /bin/true /bin/yes
