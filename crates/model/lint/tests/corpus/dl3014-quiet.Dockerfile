# finds nothing
FROM debian:12.5
RUN apt-get install -qq --no-install-recommends curl=7.88.*
