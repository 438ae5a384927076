# finds DL3045:3
FROM debian:12.5
COPY app app
