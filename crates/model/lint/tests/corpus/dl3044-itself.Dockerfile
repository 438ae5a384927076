# finds DL3044:3
FROM debian:12.5
ENV HOME_DIR=/srv DATA_DIR=$HOME_DIR/data
