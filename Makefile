# Everything runs from this project's own environment, made from the lock file.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: env run test lint lock clean

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

# After changing the dependencies in pyproject.toml.
lock: env
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-header \
		--no-emit-index-url --no-annotate pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .hub build *.egg-info
