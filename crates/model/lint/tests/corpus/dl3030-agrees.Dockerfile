# finds nothing
FROM rockylinux:9.3
RUN yum -y install httpd-2.4.57 && yum clean all
