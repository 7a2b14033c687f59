VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
SEED ?= 0
JOBS ?= 1

.PHONY: run test check lint bench fuzz chaos model clean venv soak

venv: $(VENV)/.ready

$(VENV)/.ready: setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --config-settings editable_mode=compat -e '.[dev]'
	# base58check, which bitcoin-utils brings, installs its own tests as the package "tests", before ours on the path.
	rm -rf $(VENV)/lib/python3*/site-packages/tests
	touch $@

test: venv lint
	$(BIN)/trial tests

# A network of four masternodes on this machine, and a payment; Ctrl-C stops it, the next run goes on with it.
run: venv
	$(BIN)/timecoin devnet --dir devnet --epoch-seconds 30 --payment

# Seven real nodes under load while processes, links, disks and clocks fail, for a quarter of an hour.
chaos: venv
	$(BIN)/python -m tests.functional.chaos --nodes 7 --minutes 15

# The protocol's model, all variants and mutants, those included that take minutes.
model: venv
	$(BIN)/python -m docs.model --large

bench: venv
	$(BIN)/python -m benchmarks.finality --nodes 4 --rate 20 --seconds 60
	$(BIN)/python -m benchmarks.finality --nodes 4 --rate 1000 --seconds 60
	$(BIN)/python -m benchmarks.serving
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.simulation

# Every decoder against bytes made for it, until it is stopped: make fuzz ARGS="--target transaction --seconds 600"
fuzz: venv
	$(BIN)/python -m tests.fuzz $(ARGS)

# Whole networks from one seed after the other until Ctrl-C: seeds, simulated hours, faults by kind, violations.
soak: venv
	$(BIN)/timecoin simulate --soak --seed $(SEED) --jobs $(JOBS)

lint: venv
	$(BIN)/ruff check timecoin tests benchmarks docs twisted setup.py
	$(BIN)/lint-imports
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist *.egg-info _trial_temp*
