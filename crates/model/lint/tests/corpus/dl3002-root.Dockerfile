# finds DL3002:5 DL3066:5
FROM debian:12.5
USER app
RUN whoami
USER root
