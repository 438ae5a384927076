# finds DL3037:3
FROM opensuse/leap:15.6
RUN zypper install -y httpd && zypper clean
