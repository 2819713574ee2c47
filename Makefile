# Every task of the project. `make` lists them.
.DEFAULT_GOAL := help
.PHONY: guide help up test build lint doc unit miri cross interop deny audit fuzz fuzz-replay lab bench-link bench-node bench-proxy bench-compare bench-coding bench-coding-check sim sim-full sim-validate clean generate-identity go-client down page-test images docker-test dist kubernetes ci test-docker test-scripts validate

CARGO ?= cargo
# The profile that the programs are built with; `dev` takes a fraction of the time.
PROFILE ?= release
# Where cargo puts them.
BUILT = $(or $(CARGO_TARGET_DIR),target)/$(if $(filter dev test,$(PROFILE)),debug,$(PROFILE))
BUILT_RELEASE = $(or $(CARGO_TARGET_DIR),target)/release
BUILT_DEV = $(or $(CARGO_TARGET_DIR),target)/debug
MUMP2P ?= $(BUILT)/mump2p

# Words behind these three are theirs, and no targets: whatever a topic is called, nothing else runs.
# With any other first target a word that is none fails, and so does one of these three.
WORDS_ARE_ARGUMENTS := $(filter subscribe publish dashboard,$(firstword $(MAKECMDGOALS)))
ifneq ($(WORDS_ARE_ARGUMENTS),)

MAKEFLAGS += --no-print-directory --silent
export ARGUMENTS := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
export CLIENT := ./grpc_p2p_client/p2p-client
export MUMP2P
export PROXY_BASE := $(proxy-base)
export NODE_BASE := $(node-base)

.PHONY: subscribe publish dashboard

# What is wrong with the words is told by `make -n` too: hence the plus sign. The script reads them from
# the process of make, where they are whole.
subscribe: ## subscribe to p2p topic: make subscribe <addr> <topic>
	+@sh script/make-client.sh check-subscribe $$PPID
	@$(MAKE) build
	@$(MAKE) generate-identity
	@sh script/make-client.sh subscribe $$PPID

publish: ## publish message to p2p topic: make publish <addr> <topic> <message|random> [count] [sleep]
	+@sh script/make-client.sh check-publish $$PPID
	@$(MAKE) build
	@$(MAKE) generate-identity
	@sh script/make-client.sh publish $$PPID

dashboard: ## Show network health dashboard: make dashboard [local|remote] [proxy-base=URL] [node-base=URL]
	@[ -x "$(firstword $(MUMP2P))" ] || command -v "$(firstword $(MUMP2P))" >/dev/null || $(MAKE) build
	@sh script/make-client.sh dashboard

.DEFAULT: ; @:

else

ifneq ($(filter subscribe publish dashboard,$(MAKECMDGOALS)),)
$(error subscribe, publish and dashboard take every word behind them: each is the first target of a make of its own)
endif

# Executions of each fuzz target, and the seconds after which it stops all the same.
FUZZ_RUNS ?= 100000
FUZZ_SECONDS ?= 60

# What `make up` was told, as flags of devnet.
switch = $(if $(filter 1 yes true,$($(1))),--$(1),$(if $(filter-out 0 no false,$($(1))),$(error $(1)=$($(1)) is neither 1 nor 0)))
UP_FLAGS = $(if $(nodes),--nodes '$(nodes)') $(if $(mode),--mode '$(mode)') \
	$(call switch,prometheus) $(call switch,detach)

# Vector instructions that the interpreter knows; it has none of AVX-512 that would be enough.
MIRI_FEATURES = +ssse3,+avx2,+gfni
# Tests of rlnc that hand buffers on, and are short enough to be interpreted.
MIRI_TESTS = pool::a_decoded systematic::a_fragment batch::a_batch_of_unit
# An emulator takes up to fifty times as long: fewer cases of each property.
CROSS_CASES ?= 16
# Crates that open nothing and know no system.
PURE = gf256 rlnc gossip broker token

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "\033[36m%-30s\033[0m %s\n", $$1, $$2}'
	@echo
	@echo "Direct binary usage (recommended):"
	@echo "  ./grpc_p2p_client/p2p-client -mode=subscribe -topic=mytopic -addr=127.0.0.1:33221"
	@echo "  ./grpc_p2p_client/p2p-client -mode=publish -topic=mytopic -msg='Hello World' -addr=127.0.0.1:33222"
	@echo "  ./grpc_p2p_client/p2p-client -mode=publish -topic=mytopic -addr=127.0.0.1:33222 -count=10 -sleep=1s"

up: ## Start a local stack: make up [detach=1] [nodes=16] [mode=gossipsub] [prometheus=1]
	@# The development profile: the coding and the ciphers are built at full speed in it too, and a
	@# first build takes a third of the time of a release build.
	@$(CARGO) build --quiet --workspace --bin devnet
	@$(BUILT_DEV)/devnet $(UP_FLAGS) $(ARGS)

down: ## End the stack that runs in the background
	$(CARGO) build --quiet --workspace --bin devnet
	@$(BUILT_DEV)/devnet down

test: ## Check everything: format, lints, docs, tests; licences and fuzzing where their tools are
	@sh script/test.sh

ci: test lint test-docker test-scripts validate ## Run all CI checks locally

test-docker: docker-test ## Same as docker-test

test-scripts: ## Check the shell scripts: their syntax, and what they and make do
	@set -e; for script in script/*.sh test_suite.sh; do \
		case $$(head -n 1 $$script) in *bash) bash -n $$script ;; *) sh -n $$script ;; esac; \
	done
	$(CARGO) build --workspace --quiet --bins
	$(CARGO) test --workspace --quiet --test scripts

validate: ## Check the compose files and Cargo.lock (needs docker compose or docker-compose)
	@sh script/validate.sh
	$(CARGO) fetch --locked --quiet

build: ## Build all programs, the clients to where the guide runs them (PROFILE=dev: quickly)
	$(CARGO) build --workspace --bins --profile $(PROFILE)
	install -D $(BUILT)/p2p-client grpc_p2p_client/p2p-client
	install -D $(BUILT)/p2p-multi-publish grpc_p2p_client/p2p-multi-publish
	install -D $(BUILT)/p2p-multi-subscribe grpc_p2p_client/p2p-multi-subscribe
	install -D $(BUILT)/proxy-client grpc_proxy_client/proxy-client
	ln -sf proxy-client grpc_proxy_client/proxy_client
	install -D $(BUILT)/keygen keygen/keygen
	install -D -t bin $(BUILT)/mump2p $(BUILT)/p2pnode $(BUILT)/proxy
	@echo "All clients built successfully"

generate-identity: ## Generate P2P identity (if missing)
	@# A line of its own: lines that call make run for `make -n` too.
	@[ -f identity/p2p.key ] || [ -x keygen/keygen ] || $(MAKE) --no-print-directory build
	@if [ -f identity/p2p.key ]; then \
		echo "P2P identity already exists at ./identity/p2p.key"; \
	else \
		echo "Generating new P2P identity..."; \
		cd keygen && ./keygen; \
	fi

lint: ## Format check and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings

doc: ## Build the documentation; a warning is an error
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --quiet

unit: ## Run all tests of the workspace, processes included
	$(CARGO) build --workspace --quiet
	@# What tests measured is printed too.
	$(CARGO) test --workspace --quiet -- --show-output

miri: ## Interpret the arithmetic, vectors included, and look at every access (needs nightly's miri)
	@# What it builds stays apart: other flags would build everything anew each time.
	@set -e; export CARGO_TARGET_DIR=target/vectors RUSTFLAGS="-C target-feature=$(MIRI_FEATURES)"; \
	$(CARGO) +nightly miri test --quiet --package gf256 --test kernels; \
	$(CARGO) +nightly miri test --quiet --package rlnc --test coding -- $(MIRI_TESTS)

cross: ## Test the coding for 64-bit ARM by emulation, check crates for other systems (needs qemu-user-static)
	PROPTEST_CASES=$(CROSS_CASES) \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -L /usr/aarch64-linux-gnu" \
		$(CARGO) test --quiet --target aarch64-unknown-linux-gnu --package gf256 --package rlnc --tests
	$(CARGO) build --quiet --target wasm32-unknown-unknown --package gf256 --package rlnc
	@# What decides compiles for Windows and macOS too, and so do the clients; without TLS, whose ciphers
	@# are C.
	@set -e; for target in x86_64-pc-windows-gnu aarch64-apple-darwin; do set -x; \
		$(CARGO) check --quiet --target $$target $(addprefix --package ,$(PURE)); \
		$(CARGO) check --quiet --target $$target --package cli --no-default-features; \
	done

images: ## Build the images p2pnode and proxy, of static programs (needs Docker and musl-gcc)
	@sh script/images.sh

dist: ## Make a release in target/dist: static programs, sums, bill of materials (PROFILE=dev: quickly)
	@PROFILE=$(PROFILE) sh script/dist.sh

kubernetes: ## Check deploy/kubernetes: types, references, settings by the programs (needs Go)
	$(CARGO) build --workspace --quiet --bin p2pnode --bin proxy
	cd testing/kubernetes && PROGRAMS=$(abspath $(or $(CARGO_TARGET_DIR),target))/debug go test -count=1 ./...

docker-test: ## Try the images and both stacks of docker-compose (DOCKER=skip leaves it out)
	@bash script/docker-test.sh

interop: ## Test mode gossipsub with peers by go-libp2p and js-libp2p (needs Go and npm)
	cd testing/interop/go && go build -o bin/peer .
	cd testing/interop/js && npm ci --no-progress --loglevel=error
	$(CARGO) build --workspace --quiet
	$(CARGO) test --workspace --quiet --test peers -- --ignored

go-client: ## Make a Go client of the proto files as the guide does, and test it (needs Go and protoc)
	@sh testing/go-client/generate.sh
	$(CARGO) build --workspace --quiet
	$(CARGO) test --workspace --quiet --test go_client -- --ignored

page-test: ## Test the live page in a headless Chromium (needs chromium and npm)
	cd testing/page && npm ci --no-progress --loglevel=error
	$(CARGO) build --workspace --quiet
	cd testing/page && npm test

guide: ## Run every command of the guide's pages (needs Go, protoc, Node.js, Python; free ports 8081 …)
	$(CARGO) build --workspace --quiet
	PROFILE=dev $(BUILT_DEV)/run-guide docs/guide.md docs/applications.md docs/research.md

deny: ## Check bans, licences and sources of the dependencies (needs cargo-deny)
	@# The manifests of every platform's dependencies must be here; then no network is needed.
	$(CARGO) fetch --locked --quiet
	$(CARGO) deny --offline --locked check bans licenses sources

audit: ## Check the dependencies for known vulnerabilities (needs cargo-deny and the internet)
	$(CARGO) deny check advisories

fuzz: ## Fuzz every target for a bounded time (needs nightly, cargo-fuzz and a C++ compiler)
	@# New inputs go to target/, so that only chosen ones get into the committed corpus.
	@set -e; cd testing/fuzz; for target in $$($(CARGO) +nightly fuzz list --fuzz-dir .); do \
		echo "fuzz $$target"; mkdir -p target/corpus/$$target; \
		$(CARGO) +nightly fuzz run --fuzz-dir . $$target target/corpus/$$target corpus/$$target -- \
			-runs=$(FUZZ_RUNS) -max_total_time=$(FUZZ_SECONDS); \
	done

fuzz-replay: ## Run the committed fuzz corpus as a plain test
	$(CARGO) fmt --manifest-path testing/fuzz/Cargo.toml --check
	$(CARGO) clippy --manifest-path testing/fuzz/Cargo.toml --no-default-features --lib --tests --quiet -- -D warnings
	$(CARGO) test --manifest-path testing/fuzz/Cargo.toml --no-default-features --lib --quiet

lab: ## Measure real nodes over shaped links beside GossipSub (needs root): make lab [quick=1] [write=1]
	@sh script/lab.sh $(if $(filter 1,$(quick)),--quick,$(if $(filter 1,$(write)),--write docs/benchmarks.md)) $(ARGS)

bench-link: ## Measure frame delay and goodput over a shaped link (needs root); writes docs/benchmarks.md
	@sh script/bench-link.sh

bench-node: ## Measure what four nodes deliver and cost, by profile and mode; writes docs/benchmarks.md
	$(CARGO) build --release --workspace
	target/release/bench-node --profile --write docs/benchmarks.md $(ARGS)

bench-proxy: ## Measure the proxy beside NATS (needs nats-server); writes docs/benchmarks.md
	$(CARGO) build --release --workspace
	target/release/bench-proxy --profile --write docs/benchmarks.md $(ARGS)

bench-compare: ## Time 1 MiB to three other nodes on loopback, beside gossipsub
	$(CARGO) build --release --workspace
	$(CARGO) test --release --workspace --test comparison -- --nocapture

bench-coding: ## Time the coding beside other libraries; writes docs/benchmarks.md, and CSV with csv=FILE
	@sh script/bench-coding.sh $(if $(csv),--csv $(csv))

bench-coding-check: ## Format check and lints of the coding benchmark, a workspace of its own
	$(CARGO) fmt --manifest-path testing/bench-coding/Cargo.toml --check
	$(CARGO) clippy --manifest-path testing/bench-coding/Cargo.toml --all-targets --quiet -- -D warnings

sim: ## Simulate the scenarios up to 1 MiB, all protocols, some with fewer nodes; results with json=FILE, plots with plots=DIR
	@$(CARGO) build --release --package sim --quiet
	@$(BUILT_RELEASE)/sim suite $(if $(json),--json '$(json)') $(if $(plots),--plots '$(plots)') $(ARGS)

sim-full: ## The same with all nodes, messages up to 10 MiB, up to 5,000 nodes, and Vac's scenario
	@$(CARGO) build --release --package sim --quiet
	@$(BUILT_RELEASE)/sim suite --full $(if $(json),--json '$(json)') $(if $(plots),--plots '$(plots)') $(ARGS)

sim-validate: ## Print how far the simulated GossipSub agrees with real nodes
	@$(CARGO) build --release --package sim --quiet
	@$(BUILT_RELEASE)/sim validate $(if $(json),--json '$(json)') $(ARGS)

clean: ## Remove what was built
	@# The lock of a stack in the background is there too: without it nobody could end the stack.
	@[ ! -e target/devnet/devnet.pid ] || flock --shared --nonblock target/devnet/devnet.pid true || { \
		echo "A stack runs in the background: end it first with make down." >&2; exit 1; }
	$(CARGO) clean
	rm -f grpc_p2p_client/p2p-client grpc_p2p_client/p2p-multi-publish grpc_p2p_client/p2p-multi-subscribe
	rm -f grpc_proxy_client/proxy-client grpc_proxy_client/proxy_client keygen/keygen
	rm -rf bin
	rm -rf testing/go-client/gen testing/go-client/bin

endif
