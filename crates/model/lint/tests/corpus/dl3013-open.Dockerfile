# finds DL3013:3
FROM debian:12.5
RUN pip install --no-cache-dir django
