# finds nothing
FROM alpine:3.20
RUN apk add --no-cache --virtual .build curl=8.9.0-r0 gcc~13
