# finds nothing
FROM opensuse/leap:15.6
RUN zypper --non-interactive install httpd=2.4 && zypper clean
