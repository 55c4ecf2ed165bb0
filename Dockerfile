# The image of pgbailiff: the static binary on distroless, as user 65532
# (nonroot). Build it with `make image`, which gives the arguments and builds the
# same image from the same commit. The build stage runs on the builder's own
# platform and compiles for the image's: nothing is emulated.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
ARG REVISION=unknown
ARG BRANCH=unknown
# The commit's time, as 2026-11-22T11:05:54Z.
ARG CREATED=1970-01-01T00:00:00Z
ARG TARGETOS
ARG TARGETARCH
# There is no repository in here to ask: the builder says what it builds.
RUN GOOS="$TARGETOS" GOARCH="$TARGETARCH" make build BUILDER=image \
      "VERSION=$VERSION" "REVISION=$REVISION" "BRANCH=$BRANCH" \
      "DATE=$(date -u -d "$CREATED" +%Y%m%d-%H:%M:%S)"
# The last stage has no shell to make directories with.
RUN mkdir -p /out/etc/pgbailiff /out/var/lib/pgbailiff && \
    echo '# Mount your configuration here. Without one, a server from PGHOST, PGUSER, ... is watched in dry run.' \
      > /out/etc/pgbailiff/pgbailiff.yml

# Said to buildah 1.28, which would take the platform of the stage before.
FROM --platform=$TARGETPLATFORM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="pgbailiff" \
      org.opencontainers.image.description="Watches PostgreSQL sessions and, on Alertmanager's order, cancels or terminates exactly the one named" \
      org.opencontainers.image.url="https://github.com/pgbailiff/pgbailiff" \
      org.opencontainers.image.source="https://github.com/pgbailiff/pgbailiff" \
      org.opencontainers.image.documentation="https://github.com/pgbailiff/pgbailiff/blob/main/docs/installation.md" \
      org.opencontainers.image.vendor="pgbailiff" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
COPY --from=build /src/LICENSE /LICENSE
COPY --from=build /out/etc/pgbailiff /etc/pgbailiff
# A named volume that is mounted here takes over this owner.
COPY --from=build --chown=65532:65532 /out/var/lib/pgbailiff /var/lib/pgbailiff
COPY --from=build /src/bin/pgbailiff /bin/pgbailiff
# A number: Kubernetes cannot tell that a name is not root.
USER 65532:65532
EXPOSE 10187
VOLUME /var/lib/pgbailiff
# Where pgbailiff listens elsewhere, set PGBAILIFF_URL.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["/bin/pgbailiff", "healthcheck"]
ENTRYPOINT ["/bin/pgbailiff"]
CMD ["--config.file=/etc/pgbailiff/pgbailiff.yml"]
