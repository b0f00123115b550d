# make demo and make test set everything up by themselves: they need Python 3.11 or newer with venv, and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One BLAS thread: on a shared machine two fight for the cores and the same run takes many times longer.
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export OMP_NUM_THREADS := 1

.PHONY: install demo test lint docs bench campaign clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "zeroskip needs Python 3.11 or newer: set PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "no venv for $(PYTHON): on Debian, apt-get install python3-venv" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: install
	$(BIN)/zeroskip demo --figures zeroskip-demo

# Files in their order and not by their number of tests: long ones with few would be last, and one core would wait.
test: install lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: install
	$(BIN)/python docs/notebooks.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: install
	$(BIN)/python benchmarks/bench_eie.py
	$(BIN)/python benchmarks/bench_tensorcore.py
	$(BIN)/python benchmarks/bench_points.py
	$(BIN)/python benchmarks/bench_prune.py
	$(BIN)/python benchmarks/bench_share.py
	$(BIN)/python benchmarks/bench_sweep.py
	$(BIN)/python benchmarks/bench_search.py

# For a night, docs/campaign.md. Another draw, a short one, some parts: make campaign SEED=1 PERCENT=2 PARTS="kills fuzz".
SEED ?= 0
PERCENT ?= 100
PARTS ?=
campaign: install
	$(BIN)/python tests/campaign --seed $(SEED) --percent $(PERCENT) $(PARTS)

clean:
	rm -rf $(VENV) zeroskip-demo site
