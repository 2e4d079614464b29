# Everything a person types. Each target makes what it needs first, in the project's own .venv.
#
#   make quickstart   run the whole pipeline on real photographs and rendered documents
#   make test         all tests
#   make check        format, lint, types, schemas
#   make bench        measurements, against rivals where there are any
#   make schemas      regenerate schemas/
#   make lock         regenerate requirements/*.lock (needs uv)

PYTHON ?= python3
# Test files run at a time: most of their time is waiting for Ray and engines to start.
TEST_JOBS ?= 2
BIN := .venv/bin
INPUT := runs/quickstart-input
WORK := runs/quickstart

.PHONY: quickstart test test-fast check bench schemas lock setup setup-dev clean

setup:
	@$(PYTHON) scripts/bootstrap.py
	@$(BIN)/python scripts/install_engine.py

setup-dev:
	@$(PYTHON) scripts/bootstrap.py --dev
	@$(BIN)/python scripts/install_engine.py

quickstart: setup
	@echo "[quickstart] building the input: real photographs, rendered documents, planted faults"
	@$(BIN)/python -m infinity_mm.demo $(INPUT)
	@echo "[quickstart] infinity-mm run pipelines/quickstart.yaml --work $(WORK)"
	@$(BIN)/infinity-mm run pipelines/quickstart.yaml --work $(WORK)
	@echo "[quickstart] do the books name every planted fault?"
	@$(BIN)/python -m infinity_mm.demo check $(INPUT) $(WORK)

test: setup-dev
	@$(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-fast: setup-dev
	@$(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder -m "not slow" $(PYTEST_ARGS)

check: setup-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/infinity-mm schemas --check

schemas: setup-dev
	@$(BIN)/infinity-mm schemas

bench: setup-dev
	@$(BIN)/python -m benchmarks

lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 -c requirements/vllm-cpu.lock \
	  --extra export --extra demo --extra openai --no-annotate --custom-compile-command "make lock" -o requirements/base.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 -c requirements/vllm-cpu.lock \
	  --extra export --extra demo --extra openai --extra dev --no-annotate --custom-compile-command "make lock" -o requirements/dev.lock

clean:
	rm -rf .venv runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
