# finds DL3006:2 DL4000:3 DL3009:4 DL3008:5 DL3015:5 DL3059:5 DL3020:6 DL3000:7 DL3003:8 DL3004:8 DL3025:10
FROM ubuntu
MAINTAINER somebody
RUN apt-get update
RUN apt-get install -y nginx
ADD site.conf /etc/nginx/
WORKDIR var/www
RUN cd /etc && sudo chmod 600 passwd
EXPOSE 80 443
CMD nginx -g "daemon off;"
