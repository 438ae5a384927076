# finds DL3043:3
FROM debian:12.5
ONBUILD FROM debian:12.5
