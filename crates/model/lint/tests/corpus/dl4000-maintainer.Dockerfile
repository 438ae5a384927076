# finds DL4000:3
FROM debian:12.5
MAINTAINER somebody
