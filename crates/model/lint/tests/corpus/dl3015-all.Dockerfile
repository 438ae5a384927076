# finds DL3015:3
FROM debian:12.5
RUN apt-get install -y curl=7.88.*
