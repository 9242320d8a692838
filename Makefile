# make demo   the whole story on this machine, nothing else needed
# make test   all tests, in two processes (JOBS=1 for one); as root on Debian the lab's name servers are installed first
#             (LAB=no leaves them out); ARGS="-k powerdns" picks some
# make lab-move  an account's realm moved on real servers, alone and at full length, with its figures
# make lint   format, rules, types, layers
# make docs   docs/providers.md and docs/checks.md, made from what stands beside the providers and in the checks
# make bench  speed and memory beside the peers, as a table of ratios

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
export LAB

.PHONY: demo test lab-move lint format docs bench clean

demo: $(VENV)/.demo-ready
	@$(BIN)/realmkit demo

test: $(VENV)/.test-ready
	@sh tests/lab/install.sh
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

lab-move: export REALMKIT_LAB = required
lab-move: export REALMKIT_LAB_MOVE = full
lab-move: $(VENV)/.test-ready
	@sh tests/lab/install.sh
	REALMKIT_LAB_SEED=$${REALMKIT_LAB_SEED:-$$(date +%s)} $(BIN)/python -m pytest tests/lab/move $(ARGS)

lint: $(VENV)/.test-ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.test-ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.test-ready
	$(BIN)/realmkit providers --markdown > docs/providers.md
	$(BIN)/realmkit health explain --markdown > docs/checks.md

bench: $(VENV)/.bench-ready
	@LAB_ALSO="dnsperf zonemaster-cli" sh tests/lab/install.sh
	$(BIN)/python -m bench $(ARGS)

$(BIN)/python:
	@PYTHON=$(PYTHON) sh tests/venv.sh $(VENV)

$(VENV)/.demo-ready: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing realmkit into $(VENV)"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.test-ready: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing realmkit and what its tests need into $(VENV)"
	@$(PIP) install -c constraints.txt -e '.[test]'
	@touch $@ $(VENV)/.demo-ready

$(VENV)/.bench-ready: $(VENV)/.test-ready
	@echo "installing the peers to compare with into $(VENV)"
	@$(PIP) install -c constraints.txt -e '.[test,bench]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
