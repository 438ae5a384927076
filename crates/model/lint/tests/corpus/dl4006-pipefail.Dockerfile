# finds nothing
FROM debian:12.5
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN curl -s https://example.com/a | tar -x
