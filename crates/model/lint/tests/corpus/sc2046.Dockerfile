# finds SC2046:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN make -j$(nproc)
