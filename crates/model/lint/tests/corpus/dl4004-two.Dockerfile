# finds DL4004:4
FROM debian:12.5
ENTRYPOINT ["one"]
ENTRYPOINT ["two"]
