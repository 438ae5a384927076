# finds DL3060:3
FROM node:20
RUN yarn install --frozen-lockfile
