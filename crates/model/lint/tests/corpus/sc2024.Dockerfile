# finds DL3004:4 SC2024:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN sudo cat a > /srv/a
