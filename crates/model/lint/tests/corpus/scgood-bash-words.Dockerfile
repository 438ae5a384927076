# finds nothing
FROM debian:12.5
SHELL ["/bin/sh", "-c"]
RUN echo {} "[[ ]]" && printf "%s\n" a
