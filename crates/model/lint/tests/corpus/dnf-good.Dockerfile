# finds nothing
FROM fedora:40
RUN microdnf install -y httpd-2.4.59 && microdnf clean all
COPY a /b
RUN dnf install --assumeyes httpd-2.4.59 && rm -rf /var/cache/libdnf5
