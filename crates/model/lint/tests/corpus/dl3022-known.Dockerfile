# finds nothing
FROM debian:12.5 AS builder
RUN make
FROM debian:12.5
COPY --from=builder /out /out
COPY --from=0 /in /in
COPY --from=busybox:1.36 /bin/busybox /bin/
