# Two commands do everything on a fresh machine: make run, make test.
.DEFAULT_GOAL := help
PY := .venv/bin/python
# Every interpreter that is started finds compiled code, whatever the shell was told.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help run test check format screenshots docs bench clean

help: ## say what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## set everything up and start the control tower with its demo day
	@sh scripts/setup.sh run
	@exec .venv/bin/stafett demo

# A quarter of the time a test waits: for a clock, a browser, a server that comes back. One more
# worker than there are cores (but no more than eight) does something else meanwhile.
WORKERS := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); [ $$n -lt 7 ] && echo $$((n + 1)) || echo 8)
# Several workers share the cores: threads of their own would only wait for each other.
test: export OPENBLAS_NUM_THREADS = 1
test: ## set everything up and run every test
	@sh scripts/setup.sh dev
	@sh scripts/test-tools.sh
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: ## formatting, linting, strict typing, the floor rule, known vulnerabilities, and the tests
	@sh scripts/setup.sh dev
	.venv/bin/ruff format --check src tests bench scripts
	.venv/bin/ruff check src tests bench scripts
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	.venv/bin/sphinx-build -W -q -b html docs docs/_build/html
	@sh scripts/audit.sh
	@$(MAKE) --no-print-directory test

format: ## format and mend what can be mended by itself
	@sh scripts/setup.sh dev
	.venv/bin/ruff format src tests bench scripts
	.venv/bin/ruff check --fix src tests bench scripts

bench: ## every benchmark, each against a peer or a limit in the same run
	@sh scripts/setup.sh dev
	@for b in bench/bench_*.py; do echo "== $$b"; $(PY) $$b || exit 1; done

screenshots: ## the pages in the tests' browsers, as pictures in screenshots/ for a person to look at
	@sh scripts/setup.sh dev
	@sh scripts/test-tools.sh
	@STAFETT_SCREENSHOTS=1 $(PY) -m pytest -m browser -n $(WORKERS) --dist loadfile
	@echo "The pictures are in screenshots/"

docs: ## build the documentation (warnings are errors)
	@sh scripts/setup.sh dev
	.venv/bin/sphinx-build -W -q -b html docs docs/_build/html

clean: ## remove what the commands above made
	rm -rf .venv .uv .stafett docs/_build screenshots
