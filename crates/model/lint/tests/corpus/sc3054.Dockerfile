# finds SC3054:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN echo "${LIST[1]}"
