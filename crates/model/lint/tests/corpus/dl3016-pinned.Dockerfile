# finds nothing
FROM debian:12.5
RUN npm install --global express@4.19.2 @types/node@20 && npm install
