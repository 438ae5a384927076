# finds DL4001:3
FROM debian:12.5
RUN curl -O https://example.com/a && wget -q https://example.com/b
