# finds nothing
FROM debian:12.5
RUN pip install --no-cache-dir "django==5.0" && pip3 install --no-cache-dir -r requirements.txt
