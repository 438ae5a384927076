# finds DL3033:3
FROM rockylinux:9.3
RUN yum install -y httpd && yum clean all
