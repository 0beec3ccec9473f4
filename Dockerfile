# The broker alone in an image, also under the name that charts and operators start: /nats-server.
FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p server --bin beale \
 && mkdir -p /out/data && cp target/release/beale /out/beale && ln -s beale /out/nats-server

FROM gcr.io/distroless/cc-debian12
COPY --from=build /out/ /
WORKDIR /data
# NATS clients, monitoring; Memphis' SDKs, management, REST gateway, WebSockets. Without arguments it listens to
# other machines once ROOT_PASSWORD is set.
EXPOSE 4222 8222 6666 9000 4444 7770
STOPSIGNAL SIGTERM
ENTRYPOINT ["/beale"]
