# make setup | demo | docs | bench | bench-more | test | test-sanitize | fuzz | kill | lint | types | format | clean. Needs python3 (3.10 or later) and g++; CMake comes from PyPI if absent.
PYTHON ?= python3
VENV ?= .venv
# The CPU build of torch. Tests that need torch are skipped, with the reason, where no such build is at
# hand for this Python; TORCH=torch takes the registry's own build (on Linux: CUDA, several gigabytes).
TORCH ?= torch==2.13.0+cpu

# Reports of a device are benchmarks/results/NAME.json and NAME-*.json; the page shows those of PAGE_DEVICE, and of
# each other device a row.
DEVICE ?= cpu
PAGE_DEVICE ?= cpu
RESULTS := benchmarks/results
MEASURED := out/bench
DATA ?= ../shared/data

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := pyproject.toml setup.py CMakeLists.txt constraints.txt $(shell find csrc cmake -type f)

.PHONY: setup demo docs bench bench-more page test test-sanitize fuzz kill lint tree types format clean

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

# On a quiet machine, where it takes less than ten minutes on two cores: replaces the device's reports and writes the
# tables of docs/benchmarks.md. Reports are written outside of what git sees, as each states whether files differ from its commit.
bench: setup
	rm -rf $(MEASURED) && mkdir -p $(MEASURED)
	$(BIN)/refusion bench latency --end-to-end --json $(MEASURED)/$(DEVICE).json
	if test -d "$(DATA)"; then $(BIN)/refusion bench quality --data "$(DATA)" --set tno --set roadscene \
	  --method full --method lite --method average --method visible --json $(MEASURED)/$(DEVICE)-quality.json; \
	  else echo "note: quality is not measured, there is no data in $(DATA) (make bench DATA=FOLDER)"; fi
	if $(BIN)/python -c 'import torch' 2>/dev/null; then $(BIN)/python -m refusion.benchmarks.roofline \
	  $(MEASURED)/$(DEVICE).json --json $(MEASURED)/$(DEVICE)-roofline.json; \
	  else echo "note: the roofline is not computed without torch"; fi
	$(BIN)/python -m refusion.benchmarks.ops --json $(MEASURED)/$(DEVICE)-ops.json
	cp $(MEASURED)/*.json $(RESULTS)/
	$(MAKE) --no-print-directory page

# What takes longer: pixels, batches and threads; where there is data, video, flicker and calibration.
bench-more: setup
	rm -rf $(MEASURED) && mkdir -p $(MEASURED)
	$(BIN)/refusion bench latency --scaling --json $(MEASURED)/$(DEVICE)-scaling.json
	if test -d "$(DATA)"; then \
	  $(BIN)/refusion bench quality --data "$(DATA)" --set m3svd --method full --method lite --method average \
	    --method visible --json $(MEASURED)/$(DEVICE)-video.json && \
	  $(BIN)/python -m refusion.benchmarks.flicker --clips "$(DATA)/video" --json $(MEASURED)/$(DEVICE)-flicker.json && \
	  $(BIN)/python -m refusion.benchmarks.alignment --data "$(DATA)" --cases 12 --seed 3 \
	    --json $(MEASURED)/$(DEVICE)-alignment.json; \
	  else echo "note: video, flicker and calibration are not measured, there is no data in $(DATA)"; fi
	cp $(MEASURED)/*.json $(RESULTS)/
	$(MAKE) --no-print-directory page

page: setup
	$(BIN)/python -m refusion.benchmarks.pages $(RESULTS)/$(PAGE_DEVICE).json $(RESULTS)/$(PAGE_DEVICE)-*.json

# The site, into out/site, which `python -m http.server -d out/site` shows; a link or a name that leads nowhere ends it.
# (Not with --quiet: warnings that are not shown are not counted.)
docs: setup tree
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

test: setup lint
	$(MAKE) --no-print-directory docs
	$(BIN)/python -m pytest

# Each parser of outside data for so many seconds; findings are left in out/fuzz.
FUZZ_SECONDS ?= 120
fuzz: setup
	$(BIN)/python -m pip install -q -c constraints.txt atheris
	set -e; for target in $$($(BIN)/python tests/fuzz/run.py); do \
	  $(BIN)/python tests/fuzz/run.py $$target --seconds $(FUZZ_SECONDS); done

# So many kills of each command: 45 make more than 200 in all.
KILLS ?= 45
kill: setup
	$(BIN)/python tests/soak/kills.py --kills $(KILLS) --json out/kills.json

# The C++ under AddressSanitizer and UndefinedBehaviorSanitizer (GCC's), called by its tests; then threads, called by
# a program of their own, as Python is not built for ThreadSanitizer. Left out: fork(), after which a child of a process
# with threads hangs in the sanitizer's allocator, and a limit of memory, which the sanitizer's own would pass.
SANITIZED := build/sanitize
test-sanitize: setup
	rm -rf $(SANITIZED)/tree && mkdir -p $(SANITIZED)/tree/refusion
	PATH="$(abspath $(BIN)):$$PATH" cmake -S . -B $(SANITIZED)/address -DCMAKE_CXX_COMPILER=g++ -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	  -DCMAKE_CXX_FLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" -DREFUSION_CUDA=off \
	  -DPython_EXECUTABLE=$(abspath $(BIN))/python -DREFUSION_OUTPUT_DIR=$(abspath $(SANITIZED))/tree/refusion
	PATH="$(abspath $(BIN)):$$PATH" cmake --build $(SANITIZED)/address --parallel
	ln -s $(abspath $(filter-out %.so,$(wildcard refusion/*)) export training benchmarks) $(SANITIZED)/tree/refusion/
	LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libubsan.so) $$(g++ -print-file-name=libstdc++.so)" \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONPATH=$(abspath $(SANITIZED))/tree \
	  $(BIN)/pytest $(wildcard tests/ops/test_*.py) tests/backends/test_native.py tests/backends/test_lite_network.py -k "not fork and not 2_gb"
	PATH="$(abspath $(BIN)):$$PATH" cmake -S tests/cpp -B $(SANITIZED)/thread -DCMAKE_CXX_COMPILER=g++ \
	  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS="-fsanitize=thread"
	PATH="$(abspath $(BIN)):$$PATH" cmake --build $(SANITIZED)/thread --parallel
	$(BIN)/python tests/cpp/tensor_shapes.py | $(SANITIZED)/thread/thread_driver

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $$(find csrc tests examples -name '*.?pp' -o -name '*.cu' -o -name '*.cuh')
	$(MAKE) --no-print-directory types

# The packages as they are installed: export, training and benchmarks inside refusion.
TREE := build/types
tree:
	rm -rf $(TREE) && mkdir -p $(TREE)/refusion
	ln -s $(abspath $(wildcard refusion/*) export training benchmarks) $(TREE)/refusion/

# PyTorch's own annotations are needed, so this is left out where torch is.
types: setup tree
	if $(BIN)/python -c 'import torch' 2>/dev/null; then $(BIN)/mypy; else echo "note: types not checked without torch"; fi

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $$(find csrc tests examples -name '*.?pp' -o -name '*.cu' -o -name '*.cuh')

clean:
	rm -rf build dist out *.egg-info refusion/_C*.so
