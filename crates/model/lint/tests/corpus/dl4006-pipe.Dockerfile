# finds DL4006:3
FROM debian:12.5
RUN curl -s https://example.com/a | tar -x
