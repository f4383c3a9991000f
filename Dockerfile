# syntax=docker/dockerfile:1
#
#   docker build -t matchmaker .
#   docker run --rm -e ENV=dev -e DEV_TOKENS=any -p 127.0.0.1:8002:8002 matchmaker

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build

# The dependencies alone, with empty sources: this layer is built again only when they change.
COPY Cargo.toml Cargo.lock ./
COPY src/actors/Cargo.toml src/actors/
COPY src/adapters/Cargo.toml src/adapters/
COPY src/domain/Cargo.toml src/domain/
COPY src/edge/Cargo.toml src/edge/
COPY src/observability/Cargo.toml src/observability/
COPY src/ports/Cargo.toml src/ports/
COPY src/settings/Cargo.toml src/settings/
COPY src/store/Cargo.toml src/store/
RUN for crate in src src/*/; do touch "$crate/lib.rs"; done \
    && echo 'fn main() {}' > src/main.rs \
    && cargo build --profile dist --locked --bin matchmaker

COPY config config
COPY migrations migrations
COPY src src
# Copied files may be older than what was built from the empty ones; touched ones are not.
RUN touch src/lib.rs src/main.rs src/*/lib.rs \
    && cargo build --profile dist --locked --bin matchmaker


FROM debian:bookworm-slim

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="matchmaker" \
      org.opencontainers.image.description="A stateful, actor-based matchmaking server" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

COPY --from=build /build/target/dist/matchmaker /usr/local/bin/matchmaker
# Only dev without DATABASE_URL writes anything, and only here.
RUN install -d -o 10001 -g 10001 /srv/matchmaker/data
WORKDIR /srv/matchmaker
USER 10001:10001

# Whoever forgets a variable gets a server that refuses to start and names it, rather than one that
# hands out development tokens.
ENV ENV=production
EXPOSE 8002
STOPSIGNAL SIGTERM

# Alive, not ready: a server that waits for its database must not be replaced for it. Bash speaks TCP,
# so the image needs no client.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
    CMD ["bash", "-c", "exec 3<>\"/dev/tcp/127.0.0.1/${PORT:-8002}\" && printf 'GET /livez HTTP/1.0\\r\\n\\r\\n' >&3 && read -r answer <&3 && [[ $answer == 'HTTP/1.'?' 200 '* ]]"]

ENTRYPOINT ["matchmaker"]
