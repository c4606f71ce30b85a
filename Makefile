# SPDX-License-Identifier: Apache-2.0

PYTHON ?= python3
# Most tests wait for servers most of the time.
PROCESSES ?= 3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOC_STAMP := $(VENV)/.installed-doc
CLOUD_STAMP := $(VENV)/.installed-cloud
RUFF := $(BIN)/ruff
INPUTS := requirements.txt test-requirements.txt setup.cfg setup.py \
	pyproject.toml

export N SEED IMAGE XFS BENCH_DIR ROUNDS SIZES STORES PARTS KEEP CLOUD_FOLDER
export REPLICATE_IMAGES WORKERS WORKER_COPIES EVERY BOARD
# Compiled modules are kept, or each of hundreds of processes compiles them.
export PYTHONDONTWRITEBYTECODE :=
.DEFAULT_GOAL := help
.PHONY: help venv services test test-long test-all test-unit \
	test-cloud test-upgrade mutants cloud \
	cloud-down demo check-release bench bench-cloud soak soak-workers docs \
	diagrams releasenotes pep8 clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", \
	  $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP) ## Install the plugin, Glance and the test tools into .venv

$(STAMP): $(INPUTS)
	@tools/make-venv $(PYTHON) $(VENV)
	$(BIN)/python -m pip install --quiet \
	  -r requirements.txt -r test-requirements.txt -e '.[glance]'
	@touch $@

services: venv ## Install servers and tools that some tests need, if possible
	@tools/install-services $(BIN)/python

PYTEST = $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile

test: venv services ## Show that it works: install what is needed, run the tests
	$(PYTEST) tests -m 'not long' $(ARGS)

test-long: venv services ## Run the tests that make test leaves out (ARGS=...)
	$(PYTEST) tests tests/release -m long $(ARGS)

test-all: test test-long ## Run both

UPGRADE := build/upgrade

test-upgrade: venv services ## Begin with an earlier commit's code (FROM=commit)
	@rm -rf $(UPGRADE)
	@git clone --quiet . $(UPGRADE)
	@git -C $(UPGRADE) checkout --quiet $(or $(FROM),$(error say FROM=commit))
	@$(MAKE) --no-print-directory -C $(UPGRADE) venv
	UPGRADE_FROM=$(UPGRADE) $(BIN)/python -m pytest \
	  tests/functional/test_upgrade.py $(ARGS)

MUTANTS = $(if $(FILES),--files $(FILES)) $(if $(SAMPLE),--sample $(SAMPLE)) \
	$(if $(SEED),--seed $(SEED))

mutants: venv services ## See what the tests notice (FILES= SAMPLE=150 SEED=1)
	@$(BIN)/python -m pip install --quiet 'cosmic-ray>=8.7.0' 'pytest-cov>=7.0.0'
	@$(BIN)/python -m tools.mutants $(MUTANTS)

$(CLOUD_STAMP): $(STAMP) tests/cloud/requirements.txt
	@$(BIN)/python -m pip install --quiet -r tests/cloud/requirements.txt
	@touch $@

test-cloud: $(CLOUD_STAMP) ## Run the tests with a real OpenStack (ARGS=...)
	@$(BIN)/python -m tests.cloud.services install
	$(BIN)/python -m pytest tests/cloud -n $(PROCESSES) --dist loadfile \
	  $(ARGS)

cloud: $(CLOUD_STAMP) ## Start that OpenStack to try things (CLOUD_FOLDER=)
	@$(BIN)/python -m tests.cloud.services up

cloud-down: $(CLOUD_STAMP) ## Stop it
	@$(BIN)/python -m tests.cloud.services down

check-release: venv ## Build sdist and wheel, use them beside Glance (ARGS=)
	$(BIN)/python -m pytest tests/release $(ARGS)

test-unit: venv ## Run the fast tests, which need no server (ARGS=...)
	$(BIN)/python -m pytest tests/unit $(ARGS)

demo: venv ## Copy an image in a real Glance, and compare (IMAGE=file)
	@$(BIN)/python -m tools.demo

bench: venv ## Measure it (ROUNDS=3 SIZES=256M,2G STORES=1,3 PARTS= XFS=1)
	@$(BIN)/python -m tools.bench

bench-cloud: $(CLOUD_STAMP) ## Measure it there (ROUNDS=3 SIZES=512M,2G PARTS=)
	@$(BIN)/python -m tests.cloud.services install
	@$(BIN)/python -m tools.cloud_bench

$(DOC_STAMP): $(STAMP) doc/requirements.txt
	$(BIN)/python -m pip install --quiet -r doc/requirements.txt
	@touch $@

soak: venv ## Kill Glance at random moments of copies (N=100 SEED=)
	@$(BIN)/python -m tools.soak

soak-workers: venv services ## Kill and pause workers (N=1000 WORKERS=4)
	@$(BIN)/python -m tools.soak_workers

docs: $(DOC_STAMP) ## Build the documentation into doc/build/html
	$(BIN)/sphinx-build -q -W --keep-going -b html doc/source doc/build/html
	@echo "doc/build/html/index.html"

diagrams: venv ## Draw the diagrams of the documentation; needs Graphviz
	@$(BIN)/python -m tools.diagrams

releasenotes: $(DOC_STAMP) ## Build the release notes
	$(BIN)/sphinx-build -q -W --keep-going -b html releasenotes/source \
	  releasenotes/build/html
	@echo "releasenotes/build/html/index.html"

$(RUFF): $(STAMP)
	$(BIN)/python -m pip install --quiet 'ruff>=0.17.6'
	@touch $@

pep8: $(RUFF) ## Check the style, also of shell scripts
	$(RUFF) check .
	tools/check-shell $(BIN)

clean: ## Remove everything that make has made
	[ ! -d .cloud ] || $(BIN)/python -m tests.cloud.services down
	rm -rf $(VENV) .cache .cloud .demo .bench .soak .soak-workers
	rm -rf build dist doc/build releasenotes/build
	rm -rf .pytest_cache .ruff_cache .tox .coverage cover *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
