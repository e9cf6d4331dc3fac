# The habits of this code base: `make demo` shows it, `make test` checks all of it. CONTRIBUTING.md says more.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: demo test setup lint format unit bench schema docs pictures lock clean

demo: setup
	@$(BIN)/qraft demo

test: lint unit

setup: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Qraft needs Python 3.11 or newer; none was found on PATH" >&2; exit 1; }
	@echo "setting up .venv (once; two or three minutes)"
	@$(PYTHON) -m venv .venv
	@$(PIP) install --no-deps --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@echo "compiling the detectors (once; half a minute)"
	@$(BIN)/python -m qraft.detect.warm
	@touch $@

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

unit: setup
	$(BIN)/pytest -n 3 --dist worksteal

bench: setup
	$(BIN)/python -m tests.bench

schema: setup
	$(BIN)/python schema/generate.py
	$(BIN)/python schema/cluster.py

docs: setup
	$(BIN)/qraft keys --markdown --lang en > docs/keys.md
	$(BIN)/qraft keys --markdown --lang zh > docs/zh-CN/keys.md
	$(BIN)/python docs/generate.py
	$(BIN)/python -m grafana.generate

pictures: setup
	$(BIN)/python -m tests.snapshots.pictures

lock:
	$(PIP) install uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links --group dev pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links --constraint requirements.lock pyproject.toml \
		--output-file requirements-run.lock
	echo hatchling | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-header --no-emit-index-url --no-emit-find-links --constraint requirements.lock - \
		--output-file requirements-build.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
