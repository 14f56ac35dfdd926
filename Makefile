# The two commands of the README: `make study` and `make test`. PYTHON=python3.13 chooses another interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: study test lint lock clean

study: $(STAMP)
	$(BIN)/memcap train sweeps=first_study
	$(BIN)/memcap answer --task delay_line --lag 50 outputs/first_study
	$(BIN)/memcap answer --task latch --lag 50 outputs/first_study

test: lint
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check memcap

$(STAMP): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $(STAMP)

lock:
	uv pip compile --universal --python-version 3.11 --extra dev --no-header --no-annotate --no-emit-index-url \
		pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) outputs
