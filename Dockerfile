FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
ARG REVISION=unknown
ARG BRANCH=unknown
ARG DATE=unknown
# There is no repository in here to ask: the builder says what it builds.
RUN make build BUILDER=docker "VERSION=$VERSION" "REVISION=$REVISION" "BRANCH=$BRANCH" "DATE=$DATE"
# An empty directory for the ledger: the last stage has no shell to make one.
RUN mkdir -p /out/var/lib/pgbailiff

FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pgbailiff" \
      org.opencontainers.image.description="Watches PostgreSQL sessions and, on Alertmanager's order, cancels or terminates exactly the one named" \
      org.opencontainers.image.source="https://github.com/pgbailiff/pgbailiff" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /src/LICENSE /LICENSE
COPY --from=build --chown=nonroot:nonroot /out/var/lib/pgbailiff /var/lib/pgbailiff
COPY --from=build /src/bin/pgbailiff /bin/pgbailiff
USER nonroot
EXPOSE 10187
VOLUME /var/lib/pgbailiff
ENTRYPOINT ["/bin/pgbailiff"]
