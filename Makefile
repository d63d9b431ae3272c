# Everything runs from this project's own environment, made from the lock file.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: env run test lint bench lock clean

env: $(VENV)/ready

# pip alone, with hashes: nothing unpinned gets in, and no index but the one that pip is set to.
$(VENV)/ready: requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

run: env
	$(BIN)/hub up --demo

test: env lint
	$(BIN)/pytest

lint: env
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/hub check

# The hub beside its peers, about twenty minutes; `make bench BENCH=--quick` takes two.
bench: env
	$(BIN)/python -m benchmarks $(BENCH)

# After changing the dependencies in pyproject.toml, or those of the benchmark's peers.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-annotate
lock: env
	$(COMPILE) --all-extras pyproject.toml -o requirements.lock
	$(COMPILE) benchmarks/peers/requirements.in -o benchmarks/peers/requirements.lock

clean:
	rm -rf $(VENV) .venv-peers .hub build *.egg-info
