# finds DL3066:5
FROM debian:12.5 AS tools
USER nobody
FROM debian:12.5
USER "app:app"
RUN whoami
COPY --from=tools /etc/hostname /srv/
