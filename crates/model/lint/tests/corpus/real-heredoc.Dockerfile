# finds DL4006:3
FROM debian:12.5
RUN <<EOF
set -e
mkdir -p /srv/app
curl -s https://example.com/a | tar -x
EOF
