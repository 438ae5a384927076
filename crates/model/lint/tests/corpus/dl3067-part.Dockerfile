# finds nothing
FROM debian:12.5 AS build
FROM scratch
COPY --from=build /srv /
COPY --from=build / /copy/
COPY / /
