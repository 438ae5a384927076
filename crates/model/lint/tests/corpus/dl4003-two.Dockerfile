# finds DL4003:4
FROM debian:12.5
CMD ["one"]
CMD ["two"]
