# Two commands do everything: `make repro` rebuilds the quickstart, `make test` runs every check.
PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
export PATH := $(BIN):$(PATH)
export DS_BUILD_OPS := 0
export DS_ACCELERATOR := cpu
export DVC_NO_ANALYTICS := 1

.PHONY: install readme repro test test-full lint lock bench clean

$(VENV)/installed: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

install: $(VENV)/installed

repro: install
	facsimile compile --check
	dvc repro quickstart-claims
	facsimile verify quickstart --built
	facsimile claims quickstart

lint: install
	ruff check .
	ruff format --check .
	mypy

test: lint
	facsimile compile --check
	facsimile claims --check
	pytest -n 2 --dist loadfile

test-full: lint
	pytest -m "not gpu"

bench: install
	python bench/hashing.py
	python -m bench.data_memory
	python -m bench.pack
	python bench/cli.py
	python -m bench.training
	python -m bench.ssd_scan
	python -m bench.linear_losses
	python -m bench.binary_linear
	@echo "bench.data, bench.minhash and bench.data_rates want texts and peers; each says how"

# Renews requirements.lock from pyproject.toml; torch stays where this project was measured, and PyPI's build of it
# wants exactly this triton.
lock:
	$(PYTHON) -m venv /tmp/facsimile-lock
	/tmp/facsimile-lock/bin/pip install --quiet "torch==2.13.0" "triton==3.7.1" -e ".[train,eval,import,dev]"
	grep '^#' requirements.lock > /tmp/facsimile-lock/lock
	/tmp/facsimile-lock/bin/pip freeze --exclude-editable | sed 's/+cpu$$//' >> /tmp/facsimile-lock/lock
	cp /tmp/facsimile-lock/lock requirements.lock
	rm -rf /tmp/facsimile-lock

clean:
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Runs the stories of README.md again and writes their output back.
readme: install
	python -m tests.readme
