# finds DL3047:3
FROM debian:12.5
RUN wget https://example.com/file
