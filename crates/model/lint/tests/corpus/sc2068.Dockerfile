# finds SC2068:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN set -- a b && cp $@ /srv/
