# make run | test | lint | bench | setup | lock | translations | openapi | test-soak | clean
# PORT, HOST and DATA_DIR move `make run`; N is the number of service points of `make bench`.
PORT ?= 8000
HOST ?= 127.0.0.1
DATA_DIR ?= .data
N ?= 1000000
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
export PORT HOST DATA_DIR
BIN := .venv/bin
MESSAGES := locale/zh_Hans/LC_MESSAGES/django
OURS := manage.py outage_mgmt call_center billing_cutoffs notifications outages accounts grid standards benchmarks tests
WITH_TEST_SERVERS := $(BIN)/python -m outage_mgmt.embedded with-temporary-servers

.PHONY: setup run test test-soak lint bench lock translations openapi screenshots clean
.NOTPARALLEL:

setup: .venv/.dev $(MESSAGES).mo

.venv/.run: requirements/run.txt requirements/install.py
	@$(or $(PYTHON),$(error Python 3.11 or newer is needed; name one with `make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)`)) requirements/install.py run

.venv/.dev: requirements/dev.txt .venv/.run
	@$(PYTHON) requirements/install.py dev

%.mo: %.po .venv/.run
	@$(BIN)/pybabel -q compile -i $< -o $@ -l zh_Hans

run: .venv/.run $(MESSAGES).mo
	@exec $(BIN)/python manage.py runstack

test: setup
	@exec $(WITH_TEST_SERVERS) .ci/pytest -m "not soak" $(ARGS)

test-soak: setup
	@exec $(WITH_TEST_SERVERS) .ci/pytest -m soak $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djlint templates --lint --quiet
	$(BIN)/lint-imports --no-logo
	$(WITH_TEST_SERVERS) $(MAKE) --no-print-directory lint-with-servers

lint-with-servers:
	$(BIN)/mypy $(OURS)
	$(BIN)/python manage.py check --fail-level WARNING
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py translations --check

bench: setup
	@$(BIN)/python -m benchmarks --service-points $(N) $(ARGS)

lock:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url pyproject.toml -o requirements/run.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --group dev pyproject.toml -c requirements/run.txt -o requirements/dev.txt

translations: setup
	@$(WITH_TEST_SERVERS) $(BIN)/python manage.py translations --update

openapi: setup
	@$(WITH_TEST_SERVERS) $(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

screenshots: setup
	@$(BIN)/python docs/screenshots/take.py http://$(HOST):$(PORT)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache staticfiles test-results $(MESSAGES).mo
