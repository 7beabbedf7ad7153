# Every command of the project, once; CI calls these. `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
SLUICE := $(BIN)/sluice
STAMP := .venv/.installed-$(shell cksum < requirements.lock | cut -d' ' -f1)
OPA_VERSION := v1.20.2
HELM_VERSION := v3.22.0
PRODUCTION := $(addprefix tests/integration/test_,api_queries.py api_refusals.py idempotency.py export_jobs.py consent_api.py \
	consent_events.py claims_served.py admin_office.py client_calls.py oauth_audit.py codes_served.py traces_served.py)
export PATH := $(CURDIR)/.tools/bin:$(PATH)
# Each of the many programs the tests start would compile all of the project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test test-production check test-all faults soak bench bench-synth services spark docs names lock sbom audit clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: $(STAMP) ## own .venv with the locked, hashed packages

$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sluice needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f .venv/.installed-*; touch $@

demo: setup ## the main job, played by a real client; leaves the server running (ONCE=1: exits)
	$(SLUICE) demo $(if $(ONCE),--once)

test: setup ## unit, property, spec, security, integration tests
	$(BIN)/python -m pytest -m "not slow" -n auto --dist worksteal

check: setup ## lint, types, contracts, policies, docs freshness
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy & typed=$$!; $(BIN)/python -m tests.secret_scan; scanned=$$?; wait $$typed && exit $$scanned
	$(BIN)/lint-imports
	$(SLUICE) catalogue check
	$(SLUICE) policy check $(if $(or $(shell command -v opa),$(wildcard .tools/bin/opa)),--engine opa)
	$(SLUICE) policy test
	$(SLUICE) catalogue docs --check

test-all: setup spark ## everything, also the slow suites; laws about money on 20 000 cases each
	SLUICE_EXAMPLES=search SLUICE_LAW_CASES=20000 $(BIN)/python -m pytest -o timeout=3600

test-production: setup ## the API's tests against PostgreSQL, Valkey and OPA instead of files
	SLUICE_TEST_PROFILE=production $(BIN)/python -m pytest -o timeout=3600 $(PRODUCTION)
	$(BIN)/python -m pytest -o timeout=3600 tests/integration/test_production.py

faults: setup ## every part broken under load; writes docs/fault-matrix.md from what was seen (root: it mounts small disks)
	rm -f var/faults.jsonl; mkdir -p var
	SLUICE_FAULT_ROWS=$(CURDIR)/var/faults.jsonl $(BIN)/python -m pytest -o timeout=3600 \
		tests/integration/test_fault_matrix.py tests/integration/test_rolling_upgrade.py
	$(BIN)/python -m tests.fault_table var/faults.jsonl > docs/fault-matrix.md

soak: setup ## mixed load on two replicas (MINUTES=30); exit 1 unless memory and open files stay flat
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30)

bench: setup ## ratios measured side by side
	$(BIN)/python -m tests.benchmarks

bench-synth: setup ## synthetic data beside MST, SDV and mostlyai (downloads them; hours)
	$(BIN)/python -m benchmarks.synth

services: ## real servers and peers for the tests: OPA, helm (Go); PostgreSQL, Valkey or Redis, Chromium, bubblewrap (Debian); client libraries (npm, Maven)
	command -v opa >/dev/null || GOBIN=$(CURDIR)/.tools/bin go install github.com/open-policy-agent/opa@$(OPA_VERSION)
	opa version | head -n 1
	command -v helm >/dev/null || GOBIN=$(CURDIR)/.tools/bin go install -trimpath helm.sh/helm/v3/cmd/helm@$(HELM_VERSION)
	tests/peers/debian-servers
	command -v promtool >/dev/null || tests/peers/debian-promtool .tools/bin
	command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk; }
	test -n "$$(fc-list :lang=zh)" || apt-get install -y -qq --no-install-recommends fonts-noto-cjk
	command -v bwrap >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends bubblewrap libseccomp2; }
	test -d tests/peers/nimbus/lib || mvn -q -B -f tests/peers/nimbus/pom.xml dependency:copy-dependencies -DoutputDirectory=lib
	test tests/peers/node_modules/.package-lock.json -nt tests/peers/package-lock.json || npm ci --silent --prefix tests/peers

spark: setup ## PySpark, for `release build --engine spark` and its slow tests (needs Java)
	command -v java >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --no-build-isolation -r requirements-spark.lock

docs: setup ## write the generated documents
	$(SLUICE) catalogue docs

names: setup ## train the weights of the name re-ranker anew (seeded: the same file)
	$(BIN)/python -m gateway.freetext.training

lock: ## renew requirements.lock from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --extra dev -o requirements.lock pyproject.toml

sbom: setup ## list the locked packages (CycloneDX) in build/
	mkdir -p build
	$(BIN)/cyclonedx-py requirements requirements.lock --output-reproducible --of JSON -o build/sbom.cdx.json

audit: setup ## ask the advisory database of the package index about the locked packages (needs a network that reaches it)
	$(BIN)/pip-audit -r requirements.lock --require-hashes --disable-pip --strict

clean: ## remove what was generated, not the .venv
	rm -rf var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
