# finds nothing
FROM ruby:3.3
RUN gem install bundler:2.5.9 && gem install rake --version 13.2
