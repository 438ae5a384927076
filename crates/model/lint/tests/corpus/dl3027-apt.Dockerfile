# finds DL3027:3
FROM debian:12.5
RUN apt show curl
