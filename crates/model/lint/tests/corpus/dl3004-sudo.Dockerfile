# finds DL3004:3
FROM debian:12.5
RUN sudo make install
