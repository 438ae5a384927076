# finds DL3001:3
FROM debian:12.5
RUN service nginx start
