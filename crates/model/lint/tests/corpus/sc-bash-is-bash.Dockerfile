# finds nothing
FROM debian:12.5
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN [[ -f /srv/a ]] && echo -e "a" | sort && mkdir /srv/{a,b}
