# finds DL3036:3
FROM opensuse/leap:15.6
RUN zypper install -y httpd=2.4
