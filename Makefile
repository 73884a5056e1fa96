# The usual ways in; CMake and scripts do the work. `make help` lists them.

# A build outgrows memory before it outgrows cores: one job per core, no more.
JOBS ?= $(shell nproc)
PROMPT ?= Emma was walking in the garden when
BIN := build/release/bin

.DEFAULT_GOAL := help

.PHONY: help
help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

.PHONY: setup
setup: ## Install the Debian packages and sources that a build needs (once)
	@scripts/setup

# build/NAME is configured once; CMake sees later changes by itself. Its warnings
# and errors go to stderr; the rest is of no interest.
PRESETS := release debug debug-runtime tsan static
.PHONY: $(PRESETS:%=configure-%) $(PRESETS:%=build-%)
$(PRESETS:%=configure-%): configure-%: setup
	@test -f build/$*/build.ninja || cmake --preset $* --log-level=WARNING >/dev/null

$(PRESETS:%=build-%): build-%: configure-%
	@cmake --build build/$* -j $(JOBS)

.PHONY: release
release: build-release ## Build everything into build/release

.PHONY: debug
debug: build-debug ## Build with assertions, ASan and UBSan into build/debug

.PHONY: static
static: build-static ## Build stripped programs that need no LLVM into build/static

.PHONY: demo
demo: configure-release ## Compile the example model and generate text with it
	@cmake --build build/release --target tnllmc tnllm_link_directory -j $(JOBS)
	@tools/dev/demo $(BIN) "$(PROMPT)"

.PHONY: test
test: build-release build-debug-runtime ## Build and run every test, the runtime's under sanitizers too
	@tools/dev/run-tests -j $(JOBS) build/release build/debug-runtime

.PHONY: test-debug
test-debug: build-debug ## Run every test on the sanitized build
	@tools/dev/run-tests -j $(JOBS) build/debug

.PHONY: test-tsan
test-tsan: build-tsan ## Run the runtime's tests under ThreadSanitizer
	@tools/dev/run-tests -j $(JOBS) build/tsan

.PHONY: test-all
test-all: build-release build-debug build-tsan ## Run every test on all three builds, as CI does
	@tools/dev/run-tests -j $(JOBS) build/release build/debug build/tsan

.PHONY: fuzz
fuzz: configure-debug ## Build the fuzz targets, which search (test/fuzz/run), into build/debug
	@cmake --build build/debug --target tnllm-fuzz -j $(JOBS)

.PHONY: sbom
sbom: build-release ## Write build/release/sbom.spdx.json, the list of dependencies
	@tools/dev/make-sbom build/release -o build/release/sbom.spdx.json

.PHONY: docs
docs: build-release ## Regenerate docs/generated from the dialects and passes
	@cmake --build build/release --target tnllm-docs

.PHONY: site
site: setup ## Make the docs a site: build/site/index.html
	@scripts/make-site

.PHONY: clean
clean: ## Remove what was built (not the fetched sources)
	rm -rf $(PRESETS:%=build/%) build/site build/site-packages
