# finds DL3040:3
FROM fedora:40
RUN dnf install -y httpd-2.4.59
