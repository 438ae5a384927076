# finds DL3063:2
FROM debian:12.5 AS context
