# The node and the proxy as images that hold nothing but one static program and root certificates.
#
#   docker build --target node-from-source -t p2pnode .      compiles; needs BUILD_IMAGE
#   docker build --target proxy-from-binaries -t proxy .     takes dist/image, which `make images` fills
#
# Both kinds of builder can read it. The older one builds all stages above the target too, which is why
# those that only copy stand last, and why `make images` leaves out the part that compiles.

# What the images stand on. With a busybox here there are a shell, nc and wget: the `-debug` tags.
ARG BASE_IMAGE=scratch
# A Debian with Rust and rustup; what is missing of musl is installed in it.
ARG BUILD_IMAGE=rust:1.95.0-bookworm

FROM ${BASE_IMAGE} AS node
ARG VERSION=dev
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="p2pnode" \
      org.opencontainers.image.description="A node of the open OptimumP2P: libp2p publish/subscribe by network coding" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
# sidecar, HTTP, libp2p of mode optimum over TCP and QUIC, libp2p of mode gossipsub
EXPOSE 33212 9090 7070 7070/udp 6060
STOPSIGNAL SIGTERM
# Root, so that a p2p.key of mode 0600 that belongs to whoever made it on the host can be read. Any
# other user does where the key is that user's, or where there is none (docs/operating.md).
USER 0:0
ENTRYPOINT ["/usr/local/bin/p2pnode"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/usr/local/bin/p2pnode", "healthcheck"]

FROM ${BASE_IMAGE} AS proxy
ARG VERSION=dev
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="proxy" \
      org.opencontainers.image.description="The proxy of the open OptimumP2P: REST, WebSocket and gRPC in front of several nodes" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
EXPOSE 8080 50051
STOPSIGNAL SIGTERM
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/proxy"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/usr/local/bin/proxy", "healthcheck"]

FROM ${BUILD_IMAGE} AS source
# The image's toolchain is the pinned one; the parts for lints and format are not needed here.
ARG RUST_TOOLCHAIN=1.95.0
ENV RUSTUP_TOOLCHAIN=${RUST_TOOLCHAIN}
RUN command -v musl-gcc >/dev/null || \
    { apt-get update && apt-get install -y --no-install-recommends musl-tools ca-certificates; }
RUN rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /source
COPY . .
ARG VERSION=dev
ARG COMMIT=unknown
ARG PROFILE=release
RUN BUILD_VERSION="${VERSION}" BUILD_COMMIT="${COMMIT}" PROFILE="${PROFILE}" \
    OUT=/image sh script/static.sh p2pnode proxy keygen && \
    mkdir /image/identity && cp /etc/ssl/certs/ca-certificates.crt /image/ && rm -rf target

FROM node AS node-from-source
COPY --from=source /image/ca-certificates.crt /etc/ssl/certs/
COPY --from=source --chown=65532:65532 /image/identity /identity
COPY --from=source /image/p2pnode /image/keygen /usr/local/bin/

FROM proxy AS proxy-from-source
COPY --from=source /image/ca-certificates.crt /etc/ssl/certs/
COPY --from=source /image/proxy /usr/local/bin/

FROM node AS node-from-binaries
COPY dist/image/ca-certificates.crt /etc/ssl/certs/
# A folder for the key that a node makes for itself, whoever it runs as.
COPY --chown=65532:65532 dist/image/identity /identity
COPY dist/image/p2pnode dist/image/keygen /usr/local/bin/

FROM proxy AS proxy-from-binaries
COPY dist/image/ca-certificates.crt /etc/ssl/certs/
COPY dist/image/proxy /usr/local/bin/
