# finds DL3016:3
FROM debian:12.5
RUN npm install --global express
