# finds DL3024:3
FROM debian:12.5 AS base
FROM alpine:3.20 AS base
