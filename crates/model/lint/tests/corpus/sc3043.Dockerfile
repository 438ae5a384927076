# finds SC3043:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN f() { local x=1; echo "$x"; }; f
