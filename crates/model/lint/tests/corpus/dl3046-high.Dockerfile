# finds DL3046:3
FROM debian:12.5
RUN useradd -u 1234567 app
