# Everything runs from this project's own environment, made from the lock file.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: env run test test-long lint bench chaos lock clean

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

# The fault laboratory and a promise about seconds by themselves: they and the whole hubs that other tests keep would
# starve each other. The rest in the order of the tree, so that what is long and alone in its file does not come last.
# Generated examples are the same at every run, so that a merge is judged by its change; `make chaos` draws new ones.
SAME := --hypothesis-profile=ci
ALONE := tests/chaos tests/promises/test_it_stops_within_ten_seconds.py
test: env lint
	$(BIN)/pytest $(SAME) $(ALONE)
	$(BIN)/pytest $(SAME) -n 2 --dist loadfile --no-loadscope-reorder $(ALONE:%=--ignore %)

# Promises that take minutes to hold: an hour's absence, a rolling restart, what hangs.
test-long: env
	$(BIN)/pytest -m long

lint: env
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/hub check

# The hub beside its peers, about twenty minutes; `make bench BENCH=--quick` takes two.
bench: env
	$(BIN)/python -m benchmarks $(BENCH)

# The fault laboratory, some hours: every schedule, every fault, every mutation. What it finds it finds again by its
# seed. Network namespaces and small disks need root; without, what needs them is skipped and named.
CHAOS ?= --seeds 10 --events 200000 --rate 40 --partitions 2 --together 0.95
SEED ?= 1
chaos: env
	HUB_SCHEDULES=10000 $(BIN)/pytest --hypothesis-seed=$(SEED) tests/stream/test_any_order.py \
		tests/stream/test_delivering_any_order.py tests/delivery/test_lanes_any_order.py
	HUB_KAFKA_AWAY_S=120 $(BIN)/pytest tests/promises/test_kafka_away_is_told_at_once_and_heals.py
	$(BIN)/python -m tests.chaos --mutations "*"
	$(BIN)/python -m tests.chaos $(CHAOS)

# After changing the dependencies in pyproject.toml, or those of the benchmark's peers.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-annotate
lock: env
	$(COMPILE) --all-extras pyproject.toml -o requirements.lock
	$(COMPILE) benchmarks/peers/requirements.in -o benchmarks/peers/requirements.lock

clean:
	rm -rf $(VENV) .venv-peers .hub build *.egg-info
