SHELL := /bin/bash -eu -o pipefail

PKG      := github.com/prometheus/common/version
VERSION  ?= $(shell .ci/version 2>/dev/null || echo unknown)
REVISION ?= $(shell git rev-parse --quiet --verify HEAD 2>/dev/null || echo unknown)
BRANCH   ?= $(shell git symbolic-ref --quiet --short HEAD 2>/dev/null || echo detached)
# The commit's time and not ours: the same commit builds the same binary.
DATE     ?= $(shell TZ=UTC0 git log -1 --date=format-local:%Y%m%d-%H:%M:%S --format=%cd 2>/dev/null | grep . || echo unknown)
BUILDER  ?= $(shell id -un)@$(shell uname -n)
BINARY   ?= bin/pgbailiff

LDFLAGS = -s -w -X $(PKG).Version=$(VERSION) -X $(PKG).Revision=$(REVISION) \
	-X $(PKG).Branch=$(BRANCH) -X $(PKG).BuildUser=$(BUILDER) -X $(PKG).BuildDate=$(DATE)

# with-a NAME: the packages whose tests have a function that begins with NAME.
with-a = $(shell grep -rlE --include='*_test.go' '^func $(1)[A-Z]' . | xargs -r -n1 dirname | sort -u)

.PHONY: build
build: ## build bin/pgbailiff, static and reproducible
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o '$(BINARY)' .

# At its end a program would wait a second for late reports of the race
# detector. No test leaves a goroutine behind that could be the subject of one.
export GORACE ?= atexit_sleep_ms=0

# Without Docker: make image IMAGE_BUILD='buildah build --format docker --timestamp $$$$SOURCE_DATE_EPOCH'
# (the OCI format drops HEALTHCHECK). BuildKit reads SOURCE_DATE_EPOCH itself.
IMAGE       ?= ghcr.io/pgbailiff/pgbailiff:$(VERSION)
IMAGE_BUILD ?= docker build
PLATFORM    ?= linux/$(shell go env GOARCH)
CREATED     ?= $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null | grep . || echo 1970-01-01T00:00:00Z)

.PHONY: image
image: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
image: ## build the container image; IMAGE_BUILD='buildah build ...' is another builder
	$(IMAGE_BUILD) --platform '$(PLATFORM)' --build-arg 'VERSION=$(VERSION)' --build-arg 'REVISION=$(REVISION)' \
		--build-arg 'BRANCH=$(BRANCH)' --build-arg 'CREATED=$(CREATED)' --tag '$(IMAGE)' .

.PHONY: test
test: ## vet, and run the tests under the race detector
	.ci/require test
	go vet -tags heavy,install ./... # no file is excluded by a tag: see TestTaggedTestsAreNamed
	go test -race -count=1 -vet=off -timeout=15m -p 3 ./... # a package waits for servers most of its time

.PHONY: test-heavy
test-heavy: ## run the tests that want the machine for themselves
	.ci/require test
	.ci/test-tagged heavy

.PHONY: test-install
test-install: ## build what people install (image, chart, packages, archives), and try each
	.ci/require install
	.ci/test-tagged install

.PHONY: test-kubernetes
test-kubernetes: ## apply the chart to a real API server of Kubernetes; its first build takes long
	.ci/require kubernetes
	.ci/test-kubernetes

.PHONY: test-matrix
test-matrix: ## run the tests that touch PostgreSQL on every supported major
	.ci/require test
	.ci/test-matrix

.PHONY: bench
bench: ## run the benchmarks, with postgres_exporter beside pgbailiff where it can be built
	-go build -modfile=.ci/peer/go.mod -o bin/peer/postgres_exporter github.com/prometheus-community/postgres_exporter/cmd/postgres_exporter
	PATH="$(CURDIR)/bin/peer:$$PATH" go test -tags heavy -run '^$$' -bench . -benchmem $(or $(call with-a,Benchmark),$(error there are no benchmarks))

# A number of runs and not a time: at the end of a time go test may report
# "context deadline exceeded" as a failure of the target.
FUZZTIME ?= 5000x

.PHONY: fuzz
fuzz: ## run each fuzz target FUZZTIME
	for package in $(call with-a,Fuzz); do \
		for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$package/*_test.go | cut -c6-); do \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

.PHONY: lint
lint: ## check the code, with the linters that .ci/lint/go.mod pins
	go tool -modfile=.ci/lint/go.mod golangci-lint run ./... ./.ci/pack
	cd .ci/compose && go tool -modfile=../lint/go.mod golangci-lint run ./...
	cd deploy/helm/test && go tool -modfile=../../../.ci/lint/go.mod golangci-lint run --build-tags install,kubernetes ./...

.PHONY: demo
demo: ## the whole loop on this machine; DEMO=once plays it and ends
	.ci/require demo
	$(MAKE) --no-print-directory build
	go build -o bin/demo ./demo
	exec bin/demo --binary bin/pgbailiff $(if $(filter once,$(DEMO)),--once)

.PHONY: release
release: ## build into dist/ what is released: archives, packages, the chart, the SBOM
	.ci/release

.PHONY: clean
clean: ## remove what build and release have made
	rm -rf bin dist

.PHONY: help
help: ## list these targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14
