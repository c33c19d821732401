# The only door. Every target sets up .venv by itself; PYTHON names another interpreter (3.11 or newer).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
ARGS   ?=

# Behind a proxy with a certificate of its own only the system knows whom to trust: then it is asked.
LOCKED := $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench bench-peers lock clean

help: ## what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 10

demo: $(READY) ## thirty invented days, judged, exported and verified (ARGS="--dir D")
	$(BIN)/evidenced demo $(ARGS)

test: $(READY) ## the tests (ARGS="tests/test_cli.py -k help")
	$(BIN)/python -m pytest $(ARGS)

check: $(READY) ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## bring the code into its form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(READY) ## the figures the product is to reach, measured on this machine
	$(BIN)/python -m bench $(ARGS)

bench-peers: $(READY) .bench/prowler/.ready ## beside prowler, on the same emulated account (ARGS="50 500")
	$(BIN)/python -m bench.peers $(ARGS)

# In an environment of its own: its dependencies are not ours.
.bench/prowler/.ready:
	@mkdir -p .bench
	@test -x .bench/prowler/bin/python || $(PYTHON) -m venv .bench/prowler
	$(BIN)/uv pip install --quiet --python .bench/prowler/bin/python 'prowler>=5,<6' \
	  || UV_SYSTEM_CERTS=1 $(BIN)/uv pip install --quiet --python .bench/prowler/bin/python 'prowler>=5,<6'
	@touch $@

lock: $(READY) ## resolve the dependencies anew
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate --no-emit-index-url --extra all --extra dev pyproject.toml -o requirements.lock

clean: ## remove what make made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find agent checks collectors tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Runs again only when the lock or the project file is newer than the last success.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "$(PYTHON) has no ensurepip, so it cannot make an environment: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5'
	$(LOCKED) || UV_SYSTEM_CERTS=1 $(LOCKED)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
