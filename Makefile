# Everything starts from `make setup`, which the other targets call first; up to date, it takes a fraction of a second.
#
#   VENV=folder     the Python environment (default .venv)
#   PYTHON=program  the Python to make it with (default: the first of python3, python3.13, 3.12, 3.11 that fits)
#   BOARD=name      a board of hardware/ for test-board (default: what is found)
#   ARGS="…"        passed on: make play ARGS="--seconds 10", make test ARGS="-k ring"
#   TORCH=no        leave torch out of test, figures and lab; the tests that need it are skipped by name

VENV ?= .venv
PYTHON ?=
ARGS ?=
TORCH ?= yes

export VENV PYTHON TORCH BOARD
SETUP = @sh tools/setup/setup.sh
RUN = @exec "$(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup play test test-board test-arm64 soak bench figures wheels lab doctor clean

help: ## this list
	@echo 'Neurorack. Start with: make play'
	@echo
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@echo
	@sed -n 's/^#   \([A-Z]*=.*\)/  \1/p' Makefile

setup: ## everything playing needs, into .venv; the compiled core is rebuilt when its sources change
	$(SETUP) play

play: ## start the instrument: make play ARGS="--seconds 10"
	$(SETUP) play
	$(RUN)/neurorack" play $(ARGS)

doctor: ## what this machine has and lacks, each finding with its remedy
	$(SETUP) play
	$(RUN)/neurorack" doctor $(ARGS)

test: ## the everyday tests
	$(SETUP) play test
	@at=$$(mktemp -d /tmp/nr-XXXXXX) && "$(VENV)/bin/python" -m pytest --timeout 300 -n 2 --basetemp "$$at/t" $(ARGS); \
	    code=$$?; [ $$code -ne 0 ] || rm -rf "$$at"; exit $$code

test-board: TORCH = no
test-board: ## the tests of a real board's chips, each skipped by name where it is not there: make test-board BOARD=pi
	$(SETUP) play test
	$(RUN)/python" -m pytest --timeout 300 -rs tests/board $(ARGS)

test-arm64: ## deploy to an emulated arm64 Debian and compare its sound (root, a network, a quarter of an hour): make test-arm64 ARGS="--suite trixie"
	$(SETUP) play
	@PYTHONPATH=. "$(VENV)/bin/python" -m tests.deploy.arm64 $(ARGS)

soak: ## the long tests (minutes to hours)
	$(SETUP) play test
	$(RUN)/python" -m pytest -m soak $(ARGS)

bench: ## this machine's speed: make bench ARGS="--json"
	$(SETUP) play
	$(RUN)/neurorack" bench $(ARGS)

figures: ## every figure of the README anew, into benchmarks/results (an hour, on a quiet machine)
	$(SETUP) play test bench
	for run in shared_memory.py kernel_choice.py engine_vs_torch.py "lifted_vs_torchscript.py --full" "lifted_vs_torchscript.py --isa sse" \
	    admission.py complexity.py inputs.py panel.py face.py swap.py realtime.py; do "$(VENV)/bin/python" benchmarks/$$run || exit 1; done

wheels: ## which packages have wheels for ARM boards; to keep them: make wheels ARGS="--python 3.11 --into FOLDER"
	$(SETUP) play
	$(RUN)/python" tools/deploy/wheels.py $(ARGS)

lab: ## what importing and training need (torch, scipy)
	$(SETUP) play lab

clean: ## remove what was compiled and cached (.venv stays)
	rm -rf build dist *.egg-info .pytest_cache .hypothesis neurorack/_core.so neurorack/_simbus.so neurorack/_core.json
	find neurorack tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +
