# finds SC3040:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN set -o pipefail
