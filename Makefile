# Every target installs what it needs into .venv, from the lock file, at most once. requirements.lock is what runs in
# production; requirements-dev.lock has the same versions and what checking and testing need.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
RESOLVE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help demo compose-demo test fuzz chaos check bench bench-compare protos lock clean

help:            ## What there is to make
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements-dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Kindred needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)   ## Load MovieLens 100K, start everything, tell the story (KEEP=1 stays up)
	$(BIN)/kindred demo $(if $(KEEP),--keep)

compose-demo: $(READY) ## Load MovieLens 100K into `docker compose up`, and tell the story against it
	docker compose run --rm loader
	$(BIN)/kindred demo --server localhost:50051 --kafka localhost:9092

test: $(READY)   ## Every test; SERVICES=embedded, kafka, containers or external says what on
	$(BIN)/python -m pytest $(if $(SERVICES),--services $(SERVICES))

fuzz: $(READY)   ## Mutated events into the decoder, INPUTS of them (a million); SEED=… repeats a run
	$(BIN)/python -m tests.support.event_fuzzer $(if $(INPUTS),--inputs $(INPUTS)) $(if $(SEED),--seed $(SEED))

chaos: $(READY)  ## Torment a deployment for SECONDS=60 and compare it with the log; SEED=… repeats a run, SERVICES=kafka or embedded
	GRPC_ENABLE_FORK_SUPPORT=0 $(BIN)/python -m tests.support.chaos $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(if $(SERVICES),--services $(SERVICES))

check: $(READY)  ## Lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## Measure, and write benchmarks/RESULTS.md and results.json
	$(BIN)/python -m benchmarks

bench-compare: $(READY) ## Measure again, and fail where a ratio is worse than in results.json; ONLY=recommend,load runs some
	$(BIN)/python -m benchmarks.compare $(ONLY)

protos: $(READY) ## Regenerate the stubs in kindred/v1
	$(BIN)/python protos/generate.py

lock: $(READY)   ## Resolve the lock files anew from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(RESOLVE) pyproject.toml --group dev -o requirements-dev.lock
	$(RESOLVE) pyproject.toml --constraint requirements-dev.lock -o requirements.lock

clean:           ## Remove the environment and every cache
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
