# The two commands of the README: `make study` and `make test`. PYTHON=python3.13 chooses another interpreter; `make quick` is the
# loop of a day's work.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# Libraries' type stubs may use the syntax of the Python that they are installed for.
VERSION = $(shell $(BIN)/python -c 'import sys; print("{}.{}".format(*sys.version_info))')
PROCESSES ?= 2
QUICK := tests/loops/test_fused_loss.py tests/tasks --ignore=tests/tasks/test_interface.py tests/models/test_network.py tests/frontiers/test_frontier.py tests/answers/test_answer.py \
	tests/designs/test_axes.py tests/store/test_store.py tests/test_rule.py tests/config/test_config.py tests/test_imports.py

TARGETS := .venv-targets
COMPILED := tests/targets tests/planning/test_plan.py
CLUSTER := .venv-cluster

.PHONY: study test test-breadth test-slow docs test-targets targets test-cluster cluster tables nets count quick lint hooks lock clean

# By the LSTM in C where there is a compiler, which takes half the time.
study: $(STAMP)
	$(BIN)/memcap train sweeps=first_study
	$(BIN)/memcap answer --task delay_line --lag 32 outputs/first_study
	$(BIN)/memcap answer --task latch --lag 50 outputs/first_study

# In two processes, as tests mostly compile. A file's tests stay in one, in order: they share programs, folders and what went before;
# tests/conftest.py orders the files, not xdist, which would begin with those of most tests. A process that dies is not replaced:
# xdist 3.8 would wait for ever (its issue 1378), instead of naming the test.
TESTS := $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder --max-worker-restart 0

test: lint
	$(TESTS)

# What compiles most or starts many processes: each cell by each loop, each task, each framework, launchers and trackers against each
# other. `make test` has a case of each, so that whoever breaks a promise is told within minutes. SHARE=1/3 is a third of them.
test-breadth: $(STAMP)
	$(TESTS) -m "breadth and not slow and not cluster" $(addprefix --share=,$(SHARE))

# What hangs on no version of Python, and takes minutes: simulations, kills at random moments, all studies, programs as they were, what
# benchmarks and their peers compute.
test-slow: $(STAMP)
	$(TESTS) -m slow

# The pages, into docs/_build; a warning is an error.
docs: $(STAMP)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html docs docs/_build

# The numbers of README and docs, from the published rows; what catalogues read of rows and software; the page of knobs; and the rows
# of docs/watch.
tables: $(STAMP)
	$(BIN)/python docs/tables.py
	$(BIN)/python docs/metadata.py
	$(BIN)/python docs/knobs.py
	$(BIN)/python docs/watch/published.py

# The nets that `memcap.load("atlas:NAME")` gives: one that passes for each task and lag of the atlas, where it is missing.
nets: $(STAMP)
	$(BIN)/python sweeps/answers/nets/make_nets.py

# The size of the project: tokens, rooms, arrows, entries, words of pages.
count: $(STAMP)
	$(BIN)/python docs/count.py

# XLA's compilers for accelerators that are not here: 1.7 GB, in an environment of their own, as JAX complains of missing chips.
# Without -c: the lock is installed by then, and as a constraint it would want hashes of these, too.
targets:
	$(MAKE) $(TARGETS)/installed VENV=$(TARGETS)
	$(TARGETS)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[targets]'

test-targets: targets
	JAX_PLATFORMS=cpu $(TARGETS)/bin/python -m pytest $(COMPILED)

# Hydra's plugins for other launchers and samplers, with Ray: 330 MB, in an environment of their own.
cluster:
	$(MAKE) $(CLUSTER)/installed VENV=$(CLUSTER)
	$(CLUSTER)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[joblib,slurm,ray,optuna]'

# With a SLURM, too, where Debian's slurm-wlm and munge are installed, and for root, who may start it.
test-cluster: cluster
	$(CLUSTER)/bin/python -m pytest -m "cluster or not cluster" tests/cluster tests/test_docs_commands.py

quick: lint
	$(BIN)/python -m pytest $(QUICK)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check --python $(BIN)/python --python-version $(VERSION) memcap

hooks: $(STAMP)
	$(BIN)/pre-commit install

$(STAMP): pyproject.toml requirements.lock memcap/__init__.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $(STAMP)

# With the hashes of all platforms' files, which pip then asks for: a file that was exchanged since is refused.
# With extras, as pip before 23.3 takes the newest version of what another library wants with one, and refuses it for its hash.
lock:
	uv pip compile --universal --python-version 3.11 --extra dev --extra docs --generate-hashes --no-strip-extras --no-header --no-annotate \
		--no-emit-index-url pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) $(TARGETS) $(CLUSTER) outputs docs/_build docs/_generated
