# All that a newcomer types is `make demo` and `make test`; each sets itself up on first use, into .venv.
# Paths are relative, and Python is always .venv's own called by tools/run.sh, so that the checkout may lie in a folder of
# any name.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-bag train-demo tiny lint test docs fuzz parity bench gpu soak clean
export PYTHON
# ROS=kilted, as an argument of make and not out of the environment: another environment, with the wheels of that ROS.
ifeq ($(origin ROS),command line)
export VJEPA_ROS_DISTRO := $(ROS)
endif
unexport ROS

help:  ## this list
	@echo 'make TARGET [ARGS="..." passed on to the demo, pytest, parity or bench] [PYTHON=python3.12, used for the set-up] [ROS=kilted, its wheels]'
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' Makefile

setup:  ## make .venv, unless it is there and up to date
	@tools/setup.sh

demo: setup  ## a simulated robot reaches three goal images by planning; writes demo.gif and demo.png (90 seconds)
	@tools/run.sh -m examples.demo $(ARGS)

demo-bag: setup  ## play the sample bag through the node; writes demo_bag.png
	@tools/run.sh -m examples.demo_bag $(ARGS)

train-demo: setup  ## simulate recordings, train a small model on them; writes train-demo/ (15 minutes)
	@tools/train_demo.sh $(ARGS)

tiny: setup  ## train the preset tiny from nothing, into vjepa_ros/weights/ (90 minutes on 2 cores); then evaluate it, on 200 goals
	@tools/tiny.sh

lint: setup  ## ruff and mypy, where their versions and those of what they read are the pinned ones
	@tools/run.sh tools/lint.py

# Two workers of pytest-xdist share the tests, by the rule of test/conftest.py; `-n 0` in ARGS runs them one after another.
test: lint  ## lint, then all tests, two at a time
	@tools/run.sh -m pytest $(if $(findstring no:xdist,$(ARGS)),,-n 2) $(ARGS)

docs: setup  ## build/docs/index.html: all pages and the Python reference, as rosdoc2 builds them; a warning is an error
	@tools/run.sh -m sphinx -W --keep-going -q -b html docs build/docs

fuzz: setup  ## the tests of random and damaged input, many times as long as in `make test` (half an hour)
	@VJEPA_ROS_FUZZ=3000 tools/run.sh -m pytest --timeout 7200 test/stream/test_against_oracle.py test/recordings/test_damaged.py \
	    test/weights/test_checkpoint_hostile.py test/test_documents.py test/images $(ARGS)

parity: setup  ## compare every preset at full size with the public code (20 minutes); writes docs/parity.md
	@tools/run.sh -m support.parity $(ARGS)

bench: setup  ## against the public V-JEPA 2 code and the bare products (20 minutes; ARGS=--quick: 5); ends with JSON
	@tools/run.sh -m benchmarks $(ARGS)

gpu: setup  ## what only a GPU shows: its tests, full sizes in bfloat16, planning as in the paper; under 8 minutes
	@PYTHON=.venv/bin/python tools/gpu.sh $(ARGS)

soak: setup  ## ten minutes of load, then 600 large messages; fails where a figure of docs/reliability.md is missed
	@tools/run.sh -m benchmarks.soak --check --seconds 600 $(ARGS)
	@tools/run.sh -m benchmarks.soak --seconds 120 --size 1280x720 --hz 60 --command-hz 1000
	@tools/run.sh -m benchmarks.soak --check --large 600

clean:  ## remove everything that is not source, .venv included
	@rm -rf .venv .venv-* build install log train-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info demo.gif demo.png demo_bag.png
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
