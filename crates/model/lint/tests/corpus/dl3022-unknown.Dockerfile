# finds DL3022:3
FROM debian:12.5
COPY --from=builder /out /out
