# finds DL4006:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN cat /etc/os-release | sed "s/a/b/" > /srv/a
