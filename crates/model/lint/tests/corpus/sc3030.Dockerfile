# finds SC3030:4 SC3054:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN list=(a b); echo "${list[0]}"
