# finds SC2181:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN make; if [ $? -eq 0 ]; then make install; fi
