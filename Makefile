# Each target sets up what it needs in .venv. `make help` lists them.
SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
DEMO_DIR ?= demo-data
COUNT ?= 100000
SEED ?= 1
# A warning, such as a link that leads nowhere, is an error.
SITE := $(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --doctree-dir build/doctrees docs site
export SPXDATA_REFERENCE ?= ../shared

.DEFAULT_GOAL := help
.PHONY: help demo test check wheel-test full-day sizes ticks greeks year slow bench bench-quick faults fuzz lock docs clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## Download three trading days from an emulated Terminal and look at them
	$(BIN)/spxdata demo --data-dir $(DEMO_DIR)

test: $(READY) ## Run the tests (coverage floor 90 %), real data included where SPXDATA_REFERENCE has it
	$(BIN)/python -m pytest

check: $(READY) ## Lint, types, import contract, documentation and its links, lock
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/make_docs.py --check
	$(SITE)
	@if grep -n '://' requirements.lock; then echo 'requirements.lock: no URL may stand in it' >&2; exit 1; fi

wheel-test: $(READY) ## Build the wheel and run the tests against it, with src out of the way
	rm -rf dist build/wheel-test
	$(BIN)/python -m hatchling build -t wheel -d dist
	mkdir -p build/wheel-test
	cp -R tests scripts bench docs examples .env.example README.md CHANGELOG.md CONTRIBUTING.md pyproject.toml Makefile requirements.lock build/wheel-test
	$(PYTHON) -m venv build/wheel-test/.venv
	build/wheel-test/.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	build/wheel-test/.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps dist/*.whl
	cd build/wheel-test && SPXDATA_REFERENCE=$(abspath $(SPXDATA_REFERENCE)) .venv/bin/python -m pytest

full-day: $(READY) ## Download a full emulated day and print what it cost
	$(BIN)/python -m bench.full_day

sizes: $(READY) ## Store a full emulated day in every form, compare them, print their sizes (docs/performance.md)
	$(BIN)/python -m bench.sizes

ticks: $(READY) ## Compare the memory that 2 and 20 million trades take (docs/performance.md)
	$(BIN)/python -m bench.ticks

greeks: $(READY) ## Compare our greeks with fifty digits, the vendor and an emulated day; time them (docs/greeks.md)
	$(BIN)/python -m bench.greeks

year: $(READY) ## Ask a year's archive, and its CSV form, what researchers ask (docs/performance.md)
	$(BIN)/python -m bench.year

slow: $(READY) ## Download from a slow emulated Terminal, print what its places, CPU and forecasts came to
	$(BIN)/python -m bench.slow

bench: $(READY) ## Measure all that docs/performance.md tells, against baselines; about ten minutes
	$(BIN)/python -m bench.run

bench-quick: $(READY) ## Compare the pipeline's and the start's ratios with the newest results, under a minute
	$(BIN)/python -m bench.run --quick

faults: $(READY) ## Try every case of the fault suite and print what survived (docs/reliability.md)
	$(BIN)/python scripts/faults.py

fuzz: $(READY) ## Damage COUNT replies of each dialect from a SEED, and compare with the oracle
	COUNT=$(COUNT) SEED=$(SEED) $(BIN)/python scripts/fuzz.py

lock: $(READY) ## Pin the newest dependencies with their hashes
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --upgrade \
	  --python-version 3.11 --group dev pyproject.toml --output-file requirements.lock

docs: $(READY) ## Write the generated parts of the documentation, and build its site in site/
	$(BIN)/python scripts/make_docs.py
	$(SITE)
	@echo 'site/index.html'

clean: ## Remove .venv, caches and demo data
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* dist build site $(DEMO_DIR)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
