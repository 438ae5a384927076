# finds DL3008:3
FROM debian:12.5
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
       curl \
       ca-certificates=20230311 \
    && rm -rf /var/lib/apt/lists/*
