# finds nothing
FROM rockylinux:9.3
RUN yum module install -y nodejs:20 && yum clean all
