# finds nothing
FROM --platform=$BUILDPLATFORM debian:12.5
