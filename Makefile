# A fresh machine needs Python 3.11 or newer and make; nothing here needs root or a server.
#
#   make run              the daemon on 127.0.0.1:8600, a bot and a dashboard as processes, and a scripted conversation
#   make run ARGS=--exit  the same, and ends after the conversation
#   make test             every test, on two processes; ARGS are pytest's, as in make test ARGS="-k settings"; WORKERS=0: on one
#   make check            lint, format, types, import contracts
#   make matrix           every protocol under every fault, as a table; ARGS="--protocol direct"
#   make bench            the numbers of docs; ARGS="--json"
#   make chaos            three routers over one Redis, killed a hundred times and worse; ARGS="--kills 10 --seed 1"

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
WORKERS ?= 2
BIN := $(VENV)/bin

# One stamp per set of extras: pip runs again only when what the package needs has changed.
STAMP = $(VENV)/.installed-
PACKAGE := setup.cfg pyproject.toml

.PHONY: run test matrix check format bench chaos clean
.DELETE_ON_ERROR:

run: $(STAMP)daemon
	@$(BIN)/python -m router run-demo $(ARGS)

test: $(STAMP)test
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) $(ARGS)

matrix: $(STAMP)test
	$(BIN)/python -m tests.faults $(ARGS)

check: $(STAMP)dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)test
	$(BIN)/python -m benchmarks $(ARGS)

chaos: $(STAMP)test
	$(BIN)/python -m tests.chaos $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "guild-router needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(STAMP)%: $(PACKAGE) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@
