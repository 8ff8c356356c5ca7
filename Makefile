# Two commands: "make demo" shows the whole story, "make test" runs every check.
# Both set up what they need and say what they install; a second run changes nothing twice.

.PHONY: help setup demo test lint clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    set up, run the story (SERVE=0: end after the summary), serve API and pages"
	@echo "make test    set up, run every check (ruff, mypy, import contracts, pytest)"
	@echo "make setup   only set up: distribution packages and .venv"
	@echo "make lint    the checks that need no database"
	@echo "make clean   remove .venv and caches; the database stays (amanar db reset removes it)"

setup:
	@scripts/packages.sh python database
	@scripts/environment.sh run

demo: setup
	@.venv/bin/amanar demo $(if $(filter 0 no false,$(SERVE)),--no-serve)

test:
	@scripts/packages.sh python test-database browser
	@scripts/environment.sh test
	@scripts/check.sh

lint:
	@scripts/packages.sh python
	@scripts/environment.sh test
	@scripts/check.sh tests/test_architecture.py

clean:
	rm -rf .venv .amanar/uv .amanar/stamps .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
