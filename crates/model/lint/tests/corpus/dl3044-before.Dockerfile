# finds nothing
FROM debian:12.5
ENV HOME_DIR=/srv
ENV DATA_DIR=$HOME_DIR/data PATH=$PATH:/srv/bin
