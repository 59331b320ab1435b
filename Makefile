# Everything a person does with a clone. Each target works alone on a fresh machine.

SHELL := /bin/sh
VENV := .venv
RUN := $(VENV)/bin/python
MANAGE := $(RUN) manage.py
# The first Python that is new enough and can make virtual environments.
PYTHON = $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' \
	>/dev/null 2>&1 && echo $$p && break; done)
# Changes when anything does that decides what must be installed, this folder's place included.
WANTED = $$(cat deploy/requirements.lock pyproject.toml | sha256sum) $(CURDIR)

.PHONY: help install demo demo-stop demo-reset test check bench soak lock test-packages

help:  ## Say what each target does
	@grep -hE '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | awk -F ':.*  ## ' '{printf "  make %-11s %s\n", $$1, $$2}'

install:  ## Make the virtual environment .venv with exactly the locked packages
	@if [ "$$(cat $(VENV)/installed 2>/dev/null)" != "$(WANTED)" ]; then \
		$(MAKE) --no-print-directory $(VENV)/installed; fi

.PHONY: $(VENV)/installed
$(VENV)/installed:
	@deploy/install-system-packages
	@echo "Installing into $(VENV) …"
	@$(RUN) -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@deploy/install-packages
	@echo "$(WANTED)" > $@

demo:  ## Start the demo workspace and say where it is
	@began=$$(date +%s) && $(MAKE) --no-print-directory install && $(MANAGE) demo --began $$began

demo-stop: install  ## Stop it; everything is kept
	@$(MANAGE) demo --stop

demo-reset: install  ## Stop it and delete everything it made (var/)
	@$(MANAGE) demo --reset

test: install test-packages  ## Run all tests
	@$(RUN) -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile

test-packages:
	@deploy/install-system-packages --tests

check: install  ## Format, lint, types, import directions, Django's checks, migrations
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(RUN) -m pytest -q tests/countersign/test_house_rules.py tests/test_layout.py
	$(MANAGE) check --fail-level WARNING --settings tests.harness.settings
	$(RUN) -W ignore manage.py makemigrations --check --dry-run --settings tests.harness.settings

bench: install  ## Measure; prints a table and writes .bench/results.json
	@$(RUN) -m tests.benchmarks

soak: install  ## Run the long harnesses; adds to .bench/results.json
	@$(RUN) -m tests.benchmarks --soak

lock: install  ## Write deploy/requirements.lock anew, with the newest versions allowed
	$(VENV)/bin/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-header --quiet --output-file deploy/requirements.lock
