# finds nothing
FROM debian:12.5
ADD rootfs.tar.xz /
ADD https://example.com/key.gpg /usr/share/keyrings/
