# finds DL3042:3
FROM python:3.12
RUN pip install django==5.0
