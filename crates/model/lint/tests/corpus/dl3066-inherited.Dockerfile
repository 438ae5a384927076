# finds DL3066:3
FROM debian:12.5 AS base
USER nobody
FROM base
RUN whoami
