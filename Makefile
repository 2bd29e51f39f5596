# make setup | demo | bench | test | lint | types | format | clean. Needs python3 (3.10 or later) and g++; CMake comes from PyPI if absent.
PYTHON ?= python3
VENV ?= .venv
# The CPU build of torch. Tests that need torch are skipped, with the reason, where no such build is at
# hand for this Python; TORCH=torch takes the registry's own build (on Linux: CUDA, several gigabytes).
TORCH ?= torch==2.13.0+cpu

REPORT ?= benchmarks/results/cpu.json

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := pyproject.toml setup.py CMakeLists.txt constraints.txt $(shell find csrc cmake -type f)

.PHONY: setup demo bench test lint types format clean

setup: $(STAMP)

$(STAMP): $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -U setuptools wheel cmake pybind11
	$(BIN)/python -m pip install -q "$(TORCH)" -c constraints.txt || \
	  echo "note: no build of $(TORCH) for this Python; the tests that need torch will be skipped"
	PATH="$(abspath $(BIN)):$$PATH" REFUSION_NATIVE=on $(BIN)/python -m pip install -q --no-build-isolation -c constraints.txt -e ".[dev]"
	touch $@

demo: setup
	$(BIN)/refusion demo -o out/demo --force

# On a quiet machine; replaces this machine's report and the tables of docs/benchmarks.md.
bench: setup
	$(BIN)/refusion bench latency --end-to-end --scaling --json $(REPORT) --force
	$(BIN)/python -m refusion.benchmarks.pages $(REPORT)

test: setup lint
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $$(find csrc tests examples -name '*.?pp' -o -name '*.cu' -o -name '*.cuh')
	$(MAKE) --no-print-directory types

# PyTorch's own annotations are needed, so this is left out where torch is.
types: setup
	rm -rf build/types && mkdir -p build/types/refusion
	ln -s $(abspath $(wildcard refusion/*) export training benchmarks) build/types/refusion/
	if $(BIN)/python -c 'import torch' 2>/dev/null; then $(BIN)/mypy; else echo "note: types not checked without torch"; fi

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $$(find csrc tests examples -name '*.?pp' -o -name '*.cu' -o -name '*.cuh')

clean:
	rm -rf build dist out *.egg-info refusion/_C*.so
