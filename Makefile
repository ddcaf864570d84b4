# `make` alone prints what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export CGO_ENABLED ?= 0

# What needs privilege is run by it; everything is built without.
sudo = $(if $(filter 0,$(shell id -u)),,sudo)

version = $(shell scripts/setup.sh version $(1))

.PHONY: help
help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build ./fault; needs only Go
	go build -trimpath -o fault ./cmd/fault

.PHONY: man
man: ## write the man pages to man/
	go run -tags man ./cmd/fault man man

.PHONY: demo
demo: build ## show an unmodified curl going from 0 to 300 ms and back (asks for sudo)
	scripts/demo.sh

.PHONY: picture
picture: build ## draw docs/view.svg, the picture in the README, from a real run (asks for sudo)
	$(sudo) scripts/picture.sh | go run ./scripts/picture docs/view.svg

.PHONY: generate
generate: ## compile the BPF programs, which are committed (needs clang: scripts/setup.sh build)
	BPF2GO_CC=clang-$(call version,clang) BPF2GO_STRIP=llvm-strip-$(call version,llvm) \
	BPF2GO_CFLAGS="-O2 -Wall -Werror -I/usr/include/$$(uname -m)-linux-gnu" go generate ./bpf

.PHONY: fresh
fresh: generate ## fail if what is committed is not what the sources give
	git diff --exit-code -- bpf

# What takes longest comes first.
packages = ./proxy $$(go list ./... | grep -v -e /e2e -e /proxy$$)

.PHONY: test
test: ## run the tests of the packages, with the race detector
	CGO_ENABLED=1 go test -race $(packages)

.PHONY: test-root
test-root: build .venv/requirements.txt ## run all tests as root; none may be skipped for want of privilege or a tool
	CGO_ENABLED=1 go test -race -count=1 -p 2 -timeout 10m -exec '$(as-root)' $(packages)
	go test -count=1 -timeout 10m -exec '$(as-root)' ./cmd/fault/e2e

as-root = $(sudo) env REQUIRE_ROOT=1 FAULT_BINARY=$(CURDIR)/fault CHAOSTOOLKIT=$(CURDIR)/.venv

# The system's is one that every user can run.
python = $(firstword $(wildcard /usr/bin/python3) python3)

# The real Chaos Toolkit, made anew when other versions are asked for.
.venv/requirements.txt: examples/chaostoolkit/requirements.txt
	$(python) -m venv --clear .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --retries 10 --requirement $<
	cp $< $@

.PHONY: experiments
experiments: build .venv/requirements.txt ## run examples/chaostoolkit with the real toolkit, in a lab (asks for sudo)
	$(sudo) nice -n -5 scripts/experiments.sh

# Experiments mostly wait, which leaves the processors to the compiler, the fuzzer
# and the guests, before which they go. Of the kernels those are booted that lack
# something; test-kernels alone has them all.
.PHONY: check
check: ## all of CI: install what the tests need (Debian, Ubuntu), then run everything
	$(sudo) scripts/setup.sh all
	$(MAKE) lint fresh build test-root bench-short
	$(MAKE) --jobs 4 --output-sync experiments cross fuzz test-kernels K="5.10 6.1"

.PHONY: test-kernels
test-kernels: ## run the BPF and interception tests on old and new kernels, in qemu
	scripts/kernels/test.sh $(K)

.PHONY: fuzz
T ?= 1m
fuzz: ## fuzz each parser for T (1m), all at once
	scripts/fuzz.sh $(T)

.PHONY: bench
bench: build .bench/toxiproxy-server .bench/mitmproxy/bin/mitmdump ## measure beside peers, by ROWS=3,4 only some, by BINARY=PATH another (asks for sudo)
	go build -o .bench/bench ./bench
	$(sudo) .bench/bench -binary $(or $(BINARY),fault) $(if $(ROWS),-rows $(ROWS)) -results bench/RESULTS.md

.PHONY: bench-short
bench-short: build ## see that all of bench works, with the peers that are there (asks for sudo)
	go build -o .bench/bench ./bench
	$(sudo) .bench/bench -short -binary fault

# Peers that are no packages, made anew when other versions may be asked for.
.bench/toxiproxy-server: scripts/setup.sh
	GOFLAGS=-modcacherw GOMODCACHE=$(CURDIR)/.bench/modules GOBIN=$(CURDIR)/.bench \
		go install github.com/Shopify/toxiproxy/v2/cmd/server@$(call version,toxiproxy)
	mv .bench/server $@
	rm -rf .bench/modules

.bench/mitmproxy/bin/mitmdump: scripts/setup.sh
	$(python) -m venv --clear .bench/mitmproxy
	.bench/mitmproxy/bin/pip install --quiet --disable-pip-version-check --retries 10 mitmproxy==$(call version,mitmproxy)

.PHONY: bench-go
bench-go: ## run the benchmarks of the packages
	go test -run '^$$' -bench . ./...

.PHONY: lint
lint: ## gofmt, vet, staticcheck, clang-format, shellcheck
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	go vet ./...
	go vet -tags man ./cmd/fault
	go run honnef.co/go/tools/cmd/staticcheck@$(call version,staticcheck) ./...
	clang-format-$(call version,clang-format) --dry-run --Werror bpf/*.c bpf/*.h
	shellcheck .ci/run scripts/*.sh scripts/kernels/*.sh

.PHONY: cross
cross: ## build, and compile the tests, for other systems
	@set -e; for target in darwin/arm64 windows/amd64 linux/arm64; do \
		echo "$$target"; \
		GOOS=$${target%/*} GOARCH=$${target#*/} go build -o /dev/null ./cmd/fault; \
		GOOS=$${target%/*} GOARCH=$${target#*/} go vet ./...; \
	done

.PHONY: clean
clean: ## remove what was built
	rm -rf fault man .venv .bench
