# finds nothing
ARG TOKENIZER=bpe
FROM debian:12.5
ARG USERNAME=app PUBLIC_KEY
ENV AUTHOR=me PATH=$PATH:/opt/bin
