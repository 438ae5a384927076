# finds DL3030:3
FROM rockylinux:9.3
RUN yum install httpd-2.4.57 && yum clean all
