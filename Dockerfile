# One image with every program: galley, galley-gateway, galley-worker. The compose file runs it as services; alone:
#
#   docker build --tag galley .
#   docker run --rm --publish 127.0.0.1:8080:8080 --volume galley:/data \
#     --env GALLEY_LISTEN=0.0.0.0:8080 --env GALLEY_INSECURE_NO_AUTH=1 galley

# The manifests, and an empty program in the place of each crate root: what the dependencies need, and nothing that an edit changes.
FROM rust:1-slim-bookworm AS manifests
WORKDIR /sources
COPY . .
RUN mkdir /manifests \
    && find . '(' -name Cargo.toml -o -name Cargo.lock ')' -exec cp --parents --target-directory=/manifests {} + \
    && find . '(' -name lib.rs -o -name main.rs -o -name build.rs -o -path '*/src/bin/*.rs' ')' \
      -exec cp --parents --target-directory=/manifests {} + \
    && find /manifests -name '*.rs' -exec sh -c 'for root; do echo "fn main() { }" >"$root"; done' sh {} +

FROM rust:1-slim-bookworm AS build
WORKDIR /build
# This layer has the dependencies. It is built anew for another manifest or lock file, not for an edit of the sources: Docker compares
# what it copies by content. Of our own crates nothing stays, for they were empty.
COPY --from=manifests /manifests .
RUN cargo build --release --locked --package galley --package galley-gateway --package galley-worker --package galley-sbom \
    && rm -rf target/release/.fingerprint/galley*
COPY . .
RUN cargo build --release --locked --package galley --package galley-gateway --package galley-worker --package galley-sbom
RUN cargo run --release --locked --package galley-sbom >galley.cdx.json

FROM debian:bookworm-slim
RUN useradd --system --no-create-home --uid 10001 galley \
    && mkdir /data \
    && chown galley /data
# The authorities that TLS connections to PostgreSQL and Redis trust.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /build/target/release/galley /build/target/release/galley-gateway /build/target/release/galley-worker /usr/local/bin/
# The bill of materials: what the programs are made of.
COPY --from=build /build/galley.cdx.json /usr/share/doc/galley/
USER galley
# Where `galley` without a command keeps its embedded database, in .galley.
WORKDIR /data
ENV GALLEY_LOG_FORMAT=json
EXPOSE 8080
# SIGTERM drains: sockets are told to reconnect, orders are handed over.
STOPSIGNAL SIGTERM
CMD ["galley"]
