# finds SC2129:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN echo a >> /srv/a; echo b >> /srv/a; echo c >> /srv/a
