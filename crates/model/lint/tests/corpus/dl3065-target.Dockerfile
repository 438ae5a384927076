# finds DL3065:2 DL3065:4
FROM --platform=$TARGETPLATFORM debian:12.5 AS one
RUN whoami
FROM --platform=${TARGETPLATFORM} debian:12.5
COPY --from=one /etc/hostname /srv/
