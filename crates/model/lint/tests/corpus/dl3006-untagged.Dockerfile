# finds DL3006:2
FROM debian
