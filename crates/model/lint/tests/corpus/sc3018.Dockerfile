# finds SC3006:4 SC3018:4
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN ((I++))
