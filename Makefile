# One door for developers. Every target works from a fresh clone on a machine with Python >= 3.11 and make.
#   make demo    install, train a deep network on the embedded digits, write runs/demo/report.html
#   make test    install, run the whole test suite
#   make lint types docs bench parity gpu     see CONTRIBUTING.md

ifndef PYTHON
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && exit; done; echo python3)
endif
VENV := .venv
BIN := $(VENV)/bin
PARITY := .venv-parity
BENCH := .venv-bench
WORKERS ?= 2
SETUP := $(PYTHON) tools/setup_venv.py

# A test's arrays are small: one BLAS thread a worker, or the threads fight.
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: demo test lint types docs bench parity gpu setup setup-dev setup-parity setup-bench clean

demo: setup
	$(BIN)/gyaku train digits --name demo --force

test: setup-dev
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n $(WORKERS)

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup-dev
	$(BIN)/mypy

docs: setup-dev
	$(BIN)/python tools/make_docs.py

bench: setup-bench
	$(BENCH)/bin/python -m benchmarks

parity: setup-parity
	$(ONE_THREAD) $(PARITY)/bin/python -m pytest -q -m parity tests/parity

gpu: setup-dev
	$(BIN)/python -m pytest -q -m gpu

setup:
	@$(SETUP) $(VENV) all

setup-dev:
	@$(SETUP) $(VENV) all,dev

# The CPU build of PyTorch, from its own index where that can be reached, else from wherever pip looks.
setup-parity:
	@$(SETUP) $(PARITY) all,dev torch==2.13.0 -- --retries 1 --extra-index-url https://download.pytorch.org/whl/cpu

setup-bench:
	@$(SETUP) $(BENCH) all,dev torch==2.13.0 jax scikit-learn -- --retries 1 --extra-index-url https://download.pytorch.org/whl/cpu

clean:
	rm -rf $(VENV) $(VENV).lock $(PARITY) $(PARITY).lock $(BENCH) $(BENCH).lock build .mypy_cache .pytest_cache .ruff_cache .hypothesis
