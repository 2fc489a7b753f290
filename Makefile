# The house's front door. `make demo` and `make test` need nothing but Python 3.11-3.13, make and git.
.DEFAULT_GOAL := help
.PHONY: help demo test test-fast check conformance simulate bench lock docs env clean distclean

# The environment is named for what it was made from: the lock, and the part of pyproject.toml above the tools' settings.
ENV_ID := $(shell { cat requirements.lock; sed '/^\# ---- from here on/,$$d' pyproject.toml; } | cksum | tr ' ' '-')
READY  := .venv/ready-$(ENV_ID)
PY     := .venv/bin/python
VECTORS ?= ../shared/vectors
SEEDS ?= 1-100
PYTEST_ARGS ?=

help:
	@echo "make demo         three nodes, one coordinator and a regtest chain on this machine: keygen, spend, refusal"
	@echo "make test         the whole test suite          (make test-fast: without the slow ones)"
	@echo "make check        ruff, mypy --strict, the floors of the house, the lock"
	@echo "make conformance  VECTORS=DIR  run a directory of test vectors, one line at the end"
	@echo "make simulate     SEEDS=1-1000  whole clusters with faults and liars, each audited; SEEDS=7 replays one"
	@echo "make bench        CPU against the raw C calls, latency against its floor, memory, start"
	@echo "make lock         resolve the dependencies anew into requirements.lock"
	@echo "make docs         write what is generated: the list of decisions, the policy reference"
	@echo "make env          only create the environment (.venv)"
	@echo "make clean        remove caches and what a build left   (make distclean: the environment too)"

$(READY): | requirements.lock
	@python=$$(sh tools/find-python) && "$$python" tools/environment.py $(READY)

env: $(READY)

demo: $(READY)
	@.venv/bin/assent demo

test: $(READY)
	@$(PY) -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

test-fast: $(READY)
	@$(PY) -m pytest -n auto --dist worksteal -m "not slow" $(PYTEST_ARGS)

check: $(READY)
	@$(PY) -m ruff check --quiet . && echo "ruff: clean"
	@$(PY) -m ruff format --quiet --check . && echo "ruff format: clean"
	@$(PY) -m mypy
	@.venv/bin/lint-imports --no-cache
	@$(PY) tools/lock.py check

conformance: $(READY)
	@PYTHONPATH=.:tests $(PY) -m conformance "$(VECTORS)"

simulate: $(READY)
	@PYTHONPATH=.:tests $(PY) -m simulator "$(SEEDS)"

bench: $(READY)
	@PYTHONPATH=.:tests $(PY) -m bench

lock: $(READY)
	@$(PY) tools/lock.py write

docs: $(READY)
	@$(PY) tools/adr_index.py
	@$(PY) -m policy.reference > docs/policy.md.new && mv docs/policy.md.new docs/policy.md
	@$(PY) -m tools.messages_doc > docs/messages.md.new && mv docs/messages.md.new docs/messages.md

clean:
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean
	@rm -rf .venv
