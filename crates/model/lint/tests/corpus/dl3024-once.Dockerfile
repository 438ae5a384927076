# finds nothing
FROM debian:12.5 AS one
FROM alpine:3.20 AS two
