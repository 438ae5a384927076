# finds DL3023:3
FROM debian:12.5 AS builder
COPY --from=builder /out /out
