# finds nothing
# hadolint ignore=DL3006 # the base is chosen elsewhere
FROM debian
# hadolint ignore=DL3003,DL3004
RUN cd /srv && sudo make
