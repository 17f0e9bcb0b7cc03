# All of it needs Python 3.11 or newer, with venv and pip, and make; nothing more.
# What it installs goes to .venv, except for the servers that `make test` asks for.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
SYNC := $(VENV)/bin/uv sync --quiet --frozen --inexact --no-default-groups --python $(RUN)

.PHONY: help demo serve test matrix bench soak screenshots
.DEFAULT_GOAL := help

help: ## Say what there is to make.
	@sed -n 's/^\([a-z]*\):.* ## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(VENV)/bin/uv ## Import and backfill 336,776 real rows; with CASE=bad-rows, mend 137 bad ones.
	@$(SYNC) --group example
	@$(RUN) example/$(subst -,_,$(or $(CASE),demo)).py

serve: $(VENV)/bin/uv ## Look at the pages, with a worker and some real rows.
	@$(SYNC) --group example
	@$(RUN) example/serve.py

test: $(VENV)/bin/uv ## Run every check, and the suite on every database.
	@$(SYNC) --group dev
	@$(RUN) -m tools.test

matrix: $(VENV)/bin/uv ## Run the suite on every supported Python and Django found here.
	@$(SYNC) --group test
	@$(RUN) -m tools.matrix $(DATABASES)

bench: $(VENV)/bin/uv ## Measure against loops written by hand.
	@$(SYNC) --group test
	@$(RUN) -m benchmarks

soak: $(VENV)/bin/uv ## Try what takes too long for each time: ONLY=chaos MINUTES=5 SEED=7, or MUTATE=1
	@$(SYNC) --group test
	@MINUTES=$(MINUTES) SEED=$(SEED) MUTATE=$(MUTATE) $(RUN) -m tools.soak $(ONLY)

screenshots: $(VENV)/bin/uv ## Take pictures of every page in every state.
	@$(SYNC) --group test
	@$(RUN) -m tools.screenshots $(STATES)

$(VENV)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Upkeep needs Python 3.11 or newer, and $(PYTHON) is %d.%d: make PYTHON=python3.11 …" % sys.version_info[:2])'
	@echo "==> making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check "uv>=0.13"
