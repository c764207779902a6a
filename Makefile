# The two commands: `make demo` and `make test`. Everything else is for those who work on Sovereign.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test venv check lint types contracts torture bench lock clean

demo: $(VENV)/.runtime
	$(BIN)/python -m sovereign.cli.demo

test: $(VENV)/.dev
	tests/provision
	tests/run -n 2 --dist worksteal

venv: $(VENV)/.runtime

check: lint types contracts

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

contracts: $(VENV)/.dev
	$(BIN)/lint-imports

torture: $(VENV)/.dev
	tests/provision
	SOVEREIGN_KILLS=200 SOVEREIGN_STORM=120 tests/run -m "torture or not torture" tests/journeys

bench: $(VENV)/.dev
	bench/run

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/runtime.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.lock
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock
	touch $@

UV_FLAGS := -q --python 3.11 --no-header --no-annotate --no-emit-index-url --generate-hashes
lock:
	uv pip compile $(UV_FLAGS) -c requirements/constraints.txt -o requirements/runtime.lock requirements/runtime.in
	uv pip compile $(UV_FLAGS) -c requirements/runtime.lock -o requirements/dev.lock requirements/dev.in
	for server in pygeoapi scim2 seaweedfs; do uv pip compile $(UV_FLAGS) -o requirements/$$server.lock requirements/$$server.in || exit 1; done
	for peer in dlt mitmproxy envoy; do uv pip compile $(UV_FLAGS) -o requirements/$$peer.lock requirements/$$peer.in || exit 1; done
	! grep -n '://' requirements/*.lock

clean:
	rm -rf $(VENV) build demo-site demo-site.* *.egg-info
