# finds DL3048:3
FROM debian:12.5
LABEL Version="1"
