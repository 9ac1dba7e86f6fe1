# One command each; `make` alone lists them. They need Python 3.11 and nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := $(BIN)/uv pip
READY := .venv/.ready
# Two cores, a whole file to each: what a file sets up is set up once. In order of name: those at the end are short.
# (Not by xdist_group: pytest-xdist 3.8 cannot mark tests of pytest 9.2, and says nothing.)
BOTH := -n 2 --dist loadfile --no-loadscope-reorder
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' $(MAKEFILE_LIST) | while read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done

.PHONY: setup
setup: $(READY) ## install everything, hash-checked, into .venv (the others do it by themselves)

# uv takes a fifth of pip's time; where it cannot reach the index as pip does (its own settings), pip does it all.
$(READY): requirements.lock deploy/uv.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed: make PYTHON=/path/to/python3.11"; exit 2; }
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r deploy/uv.txt || echo "no uv: pip goes on alone"
	$(UV) install --quiet --python $(BIN)/python --require-hashes -r requirements.lock \
	  || $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(READY)

.PHONY: demo
demo: $(READY) ## the main job on real parts: sources, Airflow, eight libraries
	$(BIN)/hub demo

.PHONY: test
test: $(READY) ## the tests, but for the long ones
	$(BIN)/python -m pytest $(BOTH) -m "not campaign"

.PHONY: campaign
campaign: $(READY) ## the long tests (SHORT=1: their short form)
	HUB_CAMPAIGN=$(if $(SHORT),short,full) $(BIN)/python -m pytest $(BOTH) -m campaign

.PHONY: check
check: $(READY) ## style, types, who may import whom, declarations
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hub check

.PHONY: bench
bench: $(READY) ## measure, beside the floor of this machine
	$(BIN)/python -m bench

.PHONY: up
up: $(READY) ## start the database and Airflow with its interface
	$(BIN)/hub up

.PHONY: down
down: $(READY) ## stop both; data stays
	$(BIN)/hub down

.PHONY: clean
clean: ## stop everything and remove the repository's state folder: data, logs, generated passwords (not the keys)
	@if [ -x $(BIN)/hub ] && [ -d state ]; then env -u HUB_STATE -u HUB_HOME $(BIN)/hub down; fi
	rm -rf state

.PHONY: lock
lock: $(READY) ## choose versions anew and write them down with their hashes
	$(UV) compile pyproject.toml --group dev --upgrade --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url -o requirements.lock
	echo 'uv==$(shell $(UV) show uv 2>/dev/null | sed -n 's/^Version: //p')' \
	  | $(UV) compile - --generate-hashes --no-header --no-annotate --no-emit-index-url --universal --python-version 3.11 -o deploy/uv.txt
