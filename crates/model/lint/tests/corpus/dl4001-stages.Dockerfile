# finds nothing
FROM debian:12.5
RUN curl -O https://example.com/a
FROM debian:12.5
RUN wget -q https://example.com/b
