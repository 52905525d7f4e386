# Every word sets up what it needs by itself: a .venv from the pinned files in requirements/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: run test quick check format bench soak docs lock clean help venv venv-bench

# More arguments for pytest, e.g. make quick ARGS="-k mutex -x"
ARGS ?=
bin := .venv/bin
# No word may touch the lockspace of this host.
unexport HOLDFAST_SPACE

run: venv  ## the main job on a real disk image: contention, kill -9, live table, verified bytes
	$(bin)/python examples/main_job $(ARGS)

test: check  ## check, then every test except the soak: what CI runs
	$(bin)/python -m pytest $(ARGS)

quick: venv  ## the inner loop, under 3 minutes: tests that are not slow
	$(bin)/python -m pytest -m "not slow and not soak and not real" $(ARGS)

check: venv  ## ruff, mypy --strict on src, and the rules of the house; no other test
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/python -m pytest -q tests/house

format: venv  ## let ruff put imports and lines in order
	$(bin)/ruff check --fix
	$(bin)/ruff format

bench: venv-bench  ## measure beside the peers; writes benchmarks/RESULTS.md
	$(bin)/python -m benchmarks $(ARGS)

soak: venv  ## the long storms: millions of entries, random kills and signals
	HOLDFAST_SOAK=1 $(bin)/python -m pytest -m "soak or slow" --timeout 7200 $(ARGS)

docs: venv  ## write the generated parts of docs/, then check links and run every code block
	$(bin)/python -m holdfast.testing --write docs/guarantees.md memory: 'file://{folder}/space'
	$(bin)/python -m pytest -q tests/house/test_docs.py tests/docs $(ARGS)

lock:  ## choose new versions for requirements/*.in and pin them in requirements/*.txt
	tools/lock

clean:  ## remove .venv and everything that was built, never what you wrote
	rm -rf .venv .venv.lock .lock-venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{split($$1, w, ":"); printf "make %-8s %s\n", w[1], $$2}' Makefile

venv:
	@tools/venv requirements/dev.txt

venv-bench: venv
	@tools/venv requirements/dev.txt requirements/bench.txt
