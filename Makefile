# The verbs of this project. `make help` lists them; they install what they need, given Rust, Python >= 3.11 and make.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The interpreter of the virtual environment: what PYTHON says, or the first one that is new enough.
PYTHON ?=
FOUND = $(shell for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	command -v $$python >/dev/null && $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$python && break; done)

VENV := .venv
BIN := $(abspath $(VENV))/bin
# `cargo test` with the Python feature links against the interpreter's library, and has to find it again when it runs.
LIBDIR = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')
WITH_PYTHON = PYO3_PYTHON=$(BIN)/python LD_LIBRARY_PATH=$(LIBDIR):$${LD_LIBRARY_PATH:-}
# cargo starts the tests with what this variable of the host's name says.
HOST = $(shell rustc -vV | sed -n 's/^host: //p' | tr a-z- A-Z_)
UNDER_VALGRIND = CARGO_TARGET_$(HOST)_RUNNER="valgrind --quiet --error-exitcode=9"
MATURIN = VIRTUAL_ENV=$(abspath $(VENV)) PATH="$(BIN):$$PATH" $(BIN)/maturin
# Quiet, but not about failures.
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

say = @printf '\n== %s\n' "$(1)"

.PHONY: help
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

.PHONY: demo
demo: $(VENV)/.demo  ## build, and run the main job on real data: the flights of New York in 2013
	$(call say,Building fanfold)
	@$(MATURIN) develop --release --quiet
	$(call say,Running the demo)
	@$(BIN)/python examples/flights.py

.PHONY: test
test: $(VENV)/.test  ## everything: format, lints, types, and all tests of Rust, Python and the documentation
# What takes one core only runs beside something else: the build of the package, in a part of target/ of its own, beside the
# tests of the core; and valgrind beside those of the package that do not mind.
	@mkdir -p target
	@$(MAKE) --no-print-directory build-test >target/build.log 2>&1 & \
	$(MAKE) --no-print-directory lint-rust cargo-test; \
	wait $$! || { cat target/build.log; exit 1; }
	@$(MAKE) --no-print-directory race >target/race.log 2>&1 & \
	$(MAKE) --no-print-directory lint-python pytest-parallel; \
	wait $$! || { cat target/race.log; exit 1; }
	@cat target/race.log
	@$(MAKE) --no-print-directory pytest-serial
	$(call say,All of it passed)

.PHONY: lint
lint: $(VENV)/.test build-test lint-rust lint-python  ## format, lints and types

.PHONY: lint-python
lint-python:
	$(call say,Python: format, lints, types, stubs)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python -m mypy.stubtest fanfold --allowlist tests/stubtest-allowlist.txt
	@$(BIN)/python scripts/generate.py --check

.PHONY: lint-rust
lint-rust: $(VENV)/.test
	$(call say,Rust: format and lints)
	@cargo fmt --check
	@cargo clippy --quiet --all-targets --no-default-features -- -D warnings
# Tests, benches and examples are the same with Python.
	@$(WITH_PYTHON) cargo clippy --quiet --features test-kernels -- -D warnings

.PHONY: test-rust
test-rust: $(VENV)/.test lint-rust cargo-test race  ## the tests of the core; the Python face is tested from Python

.PHONY: cargo-test
cargo-test:
	$(call say,Rust: tests without Python)
	@cargo test --quiet --no-default-features

.PHONY: race
# One test after the other: valgrind runs one thread at a time, and the writers of two starve what they write beside. One by one
# they took 190 s; together they were not done after 17 minutes.
race:
	$(call say,Rust: overwritten arrays under valgrind)
	@if command -v valgrind >/dev/null; \
	then $(UNDER_VALGRIND) cargo test --quiet --no-default-features --test race -- --test-threads=1; \
	else echo "left out: there is no valgrind here"; fi

.PHONY: test-python
test-python: $(VENV)/.test build-test pytest-parallel pytest-serial  ## the tests of the package, its docstrings, the README and the docs

.PHONY: pytest-parallel
pytest-parallel:
	$(call say,Python: tests that do not mind each other)
	@$(BIN)/python -m pytest --quiet -m "not serial" --numprocesses auto --dist loadfile

.PHONY: pytest-serial
pytest-serial:
	$(call say,Python: tests that want the machine for themselves)
	@$(BIN)/python -m pytest --quiet -m serial $$(grep -l 'mark\.serial' tests/test_*.py)

.PHONY: build-test
build-test: $(VENV)/.test
	$(call say,Building fanfold with the kernel that panics on request)
	@$(MATURIN) develop --release --quiet --features test-kernels

.PHONY: fuzz
fuzz: $(VENV)/.test build-test  ## a hundred thousand random programs, compared with their plain calls
	$(call say,Running random programs)
	@$(BIN)/python tests/programs.py 100000

.PHONY: bench
bench: $(VENV)/.bench  ## every figure, side by side with the peers; records them and writes the tables and pictures of the pages
	@$(MATURIN) develop --release --quiet
	@$(BIN)/python benches/compare.py --write
	@$(BIN)/python benches/toolbox.py --write
	@$(BIN)/python benches/answers.py
	@cargo bench --no-default-features
	@$(BIN)/python benches/callgrind.py

.PHONY: docs
docs: $(VENV)/.docs  ## the documentation as a site, into build/docs; whatever Sphinx warns of is an error
	$(call say,Building fanfold)
	@$(MATURIN) develop --release --quiet
	$(call say,Building the site)
	@$(BIN)/python -m sphinx -q -W --keep-going docs build/docs
	@echo "open build/docs/index.html"

.PHONY: notebooks
notebooks: $(VENV)/.docs  ## run the notebooks of the documentation, and keep their outputs
	@$(MATURIN) develop --release --quiet
	@$(BIN)/python scripts/notebooks.py

.PHONY: wheel
wheel: $(VENV)/.test  ## the wheel, into dist/
	@rm -rf dist
	@$(MATURIN) build --release --quiet --out dist
	@ls dist

.PHONY: test-wheel
test-wheel: wheel  ## tries the wheel on every CPython >= 3.11 found, with the oldest NumPy it declares and the newest
	@$(BIN)/python scripts/test_wheel.py dist/*.whl

.PHONY: wheels
wheels: $(VENV)/.wheels  ## the wheels to publish (any CPython, and free-threaded ones) and the source distribution, checked
	$(call say,Building and checking what can be published)
	@rm -rf dist
	@$(BIN)/python scripts/licences.py --check
	@VIRTUAL_ENV=$(abspath $(VENV)) PATH="$(BIN):$$PATH" $(BIN)/python scripts/wheels.py
	@$(BIN)/python scripts/test_wheel.py dist/*-cp311-abi3-*.whl
	@ls -l dist

.PHONY: licences
licences: $(VENV)/.made  ## rewrite THIRD-PARTY-LICENSES from Cargo.lock
	@$(BIN)/python scripts/licences.py

.PHONY: generate
generate: $(VENV)/.test build-test  ## rewrite what follows from the catalogue: stubs and docs/kernels.md
	@$(BIN)/python scripts/generate.py

.PHONY: format
format: $(VENV)/.test  ## format Rust and Python
	@cargo fmt
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format --quiet .

.PHONY: clean
clean:  ## remove what the verbs made
	@rm -rf $(VENV) build dist target python/fanfold/*.so

$(VENV)/.made:
	@test -n "$(FOUND)" || { echo "No Python >= 3.11 was found: install one, or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	@command -v cargo >/dev/null || { echo "No cargo was found: install Rust (https://rustup.rs)"; exit 1; }
	$(call say,Making a virtual environment with $(FOUND))
	@$(FOUND) -m venv $(VENV)
	@$(PIP) --upgrade pip
	@touch $@

# The extras of pyproject.toml, without building the package for them.
$(VENV)/.demo $(VENV)/.test $(VENV)/.docs $(VENV)/.bench $(VENV)/.wheels: $(VENV)/.made pyproject.toml scripts/extras.py
	$(call say,Installing what '$(patsubst .%,%,$(notdir $@))' needs)
	@$(PIP) 'maturin>=1.9.4,<2' $$($(BIN)/python scripts/extras.py $(patsubst .%,%,$(notdir $@)))
	@touch $@
