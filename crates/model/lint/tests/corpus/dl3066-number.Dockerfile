# finds nothing
FROM debian:12.5 AS one
USER nobody
RUN whoami
USER 1000:staff
FROM one
ARG APP_UID=1000
RUN whoami
USER ${APP_UID}
