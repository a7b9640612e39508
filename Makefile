# make demo, make test: each makes the environment in .venv when there is none, or when what it needs has changed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made

.PHONY: demo test slow lint docs bench env clean

demo: env
	$(BIN)/ranvier demo

test: env
	$(BIN)/pytest -m "not slow" -n 2

slow: env
	$(BIN)/pytest -m slow -n 2

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# the pages as a site, in build/site; any warning ends it
docs: env
	PYTHONPATH=. NO_MKDOCS_2_WARNING=1 $(BIN)/python -W ignore::SyntaxWarning -m mkdocs build --quiet --strict
	@echo "the site is in build/site; open build/site/index.html"

bench: env
	$(BIN)/python -m bench

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qqy python3-venv; } || \
		{ echo "This Python cannot make environments; on Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }
	@echo "making the environment in $(VENV); the first time it downloads PyTorch"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
