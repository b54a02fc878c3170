# The GraphiQL page.
FROM node:22-bookworm-slim AS web
WORKDIR /web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY web ./
RUN npm run build

# The binary, with the page embedded.
FROM rust:1.95-bookworm AS build
WORKDIR /plimsoll
COPY . .
COPY --from=web /web/dist web/dist
RUN cargo build --release --locked

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/plimsoll --create-home plimsoll
COPY --from=build /plimsoll/target/release/plimsoll /usr/local/bin/plimsoll
USER plimsoll
WORKDIR /var/lib/plimsoll
ENV PLIMSOLL_LISTEN=0.0.0.0:8000
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD curl --fail --silent http://127.0.0.1:8000/health/ready
ENTRYPOINT ["plimsoll"]
CMD ["serve"]
