# Everything runs in .venv, which the first target that needs it makes. The stamps in .venv/.stamps
# say what is installed: a second run installs nothing, and removing .venv starts over.
#
#   make PYTHON=python3.12    another interpreter for a new .venv
#   make CONSTRAINTS=         the newest versions that pyproject.toml admits, not our pinned ones
#   make test ARGS='-k k3'    arguments for pytest

PYTHON      ?= python3
CONSTRAINTS ?= constraints.txt
ARGS        ?=

VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.stamps

SUDO   := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
COQ_TOOLS    := coq libcoq-coquelicot
REPORT_TOOLS := chromium poppler-utils lmodern texlive-latex-recommended texlive-latex-extra texlive-pictures

PIP_INSTALL := $(BIN)/python -m pip install -qq --progress-bar off --disable-pip-version-check \
               --no-input $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
SUPPORTED   := 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'

MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help install libraries-install run test lint types layers fuzz bench selftest trust faults gpu proofs-coq report-tools regenerate \
        check-all clean distclean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMPS)/venv:
	@$(PYTHON) -c $(SUPPORTED) || { echo "kl-oracle needs Python 3.10 to 3.13: make PYTHON=python3.12" >&2; exit 1; }
	@if $(BIN)/python -c 'import pip' 2>/dev/null && $(BIN)/python -c $(SUPPORTED); then \
	    echo "==> keeping the environment in $(VENV)"; \
	else \
	    echo "==> making $(VENV) with $$($(PYTHON) --version)"; \
	    $(PYTHON) -m venv --clear $(VENV); \
	fi
	@mkdir -p $(@D) && touch $@

# PyTorch first, and on its own: the pin decides which build comes, before any other package asks.
$(STAMPS)/install: $(STAMPS)/venv pyproject.toml $(CONSTRAINTS)
	@echo "==> installing PyTorch (1 of 2; a minute or so)"
	@$(PIP_INSTALL) torch hatchling
	@echo "==> installing kl-oracle, its dependencies and the tools (2 of 2)"
	@$(PIP_INSTALL) --no-build-isolation -e '.[dev]'
	@$(BIN)/python -m compileall -q proofs oracle gpu_checks # as the installation of a wheel does
	@touch $@

$(STAMPS)/libraries: libraries.txt | $(STAMPS)/install
	@echo "==> installing the libraries to judge: $$(sed -n 's/^\([a-z-]*==[0-9.]*\).*/\1/p' libraries.txt | xargs)"
	@$(PIP_INSTALL) --no-deps -r libraries.txt
	@touch $@

install: $(STAMPS)/install ## Make .venv, and install kl-oracle with its tools

libraries-install: $(STAMPS)/libraries ## Install the RLHF libraries that are judged

run: install libraries-install ## The main job: one example, then every library function
	@echo "==> kl-oracle identify examples/penalties.py:k3"
	@$(BIN)/kl-oracle identify examples/penalties.py:k3
	@echo "==> kl-oracle libraries"
	@$(BIN)/kl-oracle libraries

test: install libraries-install ## All tests
	@echo "==> pytest"
	@$(BIN)/python -m pytest --numprocesses auto --maxprocesses 2 --dist loadfile $(ARGS)

lint: install ## Style: ruff
	@echo "==> ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: install ## Types: mypy, strict
	@echo "==> mypy"
	@$(BIN)/mypy

layers: install ## Imports run one way: import-linter
	@echo "==> import-linter"
	@$(BIN)/lint-imports

fuzz: install ## 20,000 random targets, claims, configurations and command lines, drawn anew each time
	@echo "==> pytest tests/fuzz"
	@HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -q tests/fuzz $(ARGS)

bench: install libraries-install ## Speed, as ratios taken in one run
	@echo "==> benchmarks"
	@$(BIN)/python benchmarks/bench.py
	@$(BIN)/python benchmarks/full_vocabulary.py

selftest: install ## The error rates on the catalogue of planted faults and correct losses
	@echo "==> kl-oracle selftest"
	@$(BIN)/kl-oracle selftest $(ARGS)

faults: install libraries-install ## Every fault planted in a kernel, and the kernels without them (minutes)
	@echo "==> kl-oracle audit --faults"
	@$(BIN)/kl-oracle audit --faults $(ARGS)

gpu: install ## On a machine with CUDA: audits on the device, and the evidence file
	@echo "==> python -m gpu_checks.on_device"
	@$(BIN)/python -m gpu_checks.on_device $(ARGS)

trust: install ## Random correct programs, judged: make trust ARGS='--count 10000 --seed 1 --jobs 2' (hours); goes on where it stopped
	@echo "==> python -m oracle.trust"
	@$(BIN)/python -m oracle.trust $(ARGS)

proofs-coq: install ## Install Coq and Coquelicot from Debian, and have Coq check the theorems
	@if command -v coqc >/dev/null && [ -d "$$(coqc -where)/user-contrib/Coquelicot" ]; then \
	    echo "==> Coq and Coquelicot are here"; \
	elif command -v apt-get >/dev/null 2>&1; then \
	    echo "==> installing $(COQ_TOOLS)"; \
	    $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $(COQ_TOOLS) >/dev/null; \
	else \
	    echo "no apt-get here: install Coq 8.16 or newer with Coquelicot 3, then run make proofs-coq again" >&2; exit 1; \
	fi
	@echo "==> kl-oracle prove --engine coq (a minute or two)"
	@$(BIN)/kl-oracle prove --engine coq

report-tools: ## Install from Debian what the tests of reports look with: Chromium, TeX Live, poppler
	@if command -v chromium >/dev/null && command -v pdflatex >/dev/null && command -v pdftotext >/dev/null; then \
	    echo "==> Chromium, LaTeX and poppler are here"; \
	elif command -v apt-get >/dev/null 2>&1; then \
	    echo "==> installing $(REPORT_TOOLS) (a minute or two)"; \
	    $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $(REPORT_TOOLS) >/dev/null; \
	else \
	    echo "==> no apt-get here: tests that need Chromium, LaTeX or poppler will be skipped"; \
	fi

regenerate: install ## Write what is generated and committed: numeric code, SMT-LIB texts, JSON Schemas
	@echo "==> numeric code, from the formulas"
	@$(BIN)/python -m proofs.lowering.regenerate
	@echo "==> proofs/smt, from the theorems"
	@$(BIN)/python -m proofs.engines.smt.regenerate
	@echo "==> oracle/schemas, from the records"
	@$(BIN)/python -m oracle.schemas

check-all: lint types layers test ## Everything that has to hold before a commit

clean: ## Remove caches and builds; keep .venv
	@rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .kl-oracle
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## Remove .venv too
	@rm -rf $(VENV)
