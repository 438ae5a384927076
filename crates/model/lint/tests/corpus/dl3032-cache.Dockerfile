# finds DL3032:3
FROM rockylinux:9.3
RUN yum install -y httpd-2.4.57
