# The README's two commands are `make demo` and `make test`. They need Python >= 3.11 and a package registry.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# one thread a process: two threads on a machine where anything else runs can be a hundred times slower
ONE_THREAD := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE MPLBACKEND=Agg

.PHONY: help install demo test test-all check docs format bench wheel torture reproduce clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED)  ## make .venv with everything in it

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,fast]'
	@touch $@

demo: $(INSTALLED)  ## train a GAN on real handwritten digits for a minute, and judge it
	rm -rf runs/demo
	$(ONE_THREAD) $(BIN)/plausible train gan --data digits --minutes 1.25 --out runs/demo
	$(ONE_THREAD) $(BIN)/plausible evaluate runs/demo
	@echo; echo "picture: $$(ls runs/demo/samples/*.png | tail -n 1)"; echo "report:  runs/demo/report.html"

test: $(INSTALLED)  ## run the tests
	$(ONE_THREAD) $(BIN)/pytest -n 2 --dist worksteal -m 'not slow and not hours'

test-all: test  ## the tests, then the slow ones
	$(ONE_THREAD) $(BIN)/pytest -n 2 --dist worksteal -m slow

check: $(INSTALLED)  ## lint, format, types, import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check
	$(BIN)/lint-imports

docs: $(INSTALLED) .venv/installed-docs  ## build the documentation in build/docs and check its links
	$(BIN)/python docs/site/build.py

.venv/installed-docs: $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

format: $(INSTALLED)  ## write the code in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED)  ## speed, as ratios in one run; leave the machine alone meanwhile
	$(BIN)/python benchmarks/gan.py
	$(BIN)/python benchmarks/parzen.py
	$(BIN)/python benchmarks/nade.py
	$(BIN)/python benchmarks/pixels.py

wheel: $(INSTALLED)  ## build the wheel, install it in a fresh environment, and use it there
	$(ONE_THREAD) $(BIN)/python tests/wheel.py

SECONDS ?= 300
SEED ?= 0
torture: $(INSTALLED)  ## damage the files of a run in thousands of ways (make torture SECONDS=120 SEED=1)
	$(ONE_THREAD) $(BIN)/python tests/torture.py --seconds $(SECONDS) --seed $(SEED)

reproduce: $(INSTALLED)  ## the tests that take hours, twenty kills, the GAN's curves and the densities on MNIST (hours)
	$(ONE_THREAD) $(BIN)/pytest -m hours
	$(ONE_THREAD) $(BIN)/python tests/kill.py --kills 20
	$(ONE_THREAD) $(BIN)/python benchmarks/early_training.py
	$(ONE_THREAD) $(BIN)/plausible train gan --data mnist --preset default --minutes 120 --keep 0 --out runs/reproduce/default
	$(ONE_THREAD) $(BIN)/plausible train gan --data mnist --preset goodfellow2014 --keep 0 --out runs/reproduce/goodfellow2014
	$(ONE_THREAD) $(BIN)/python benchmarks/curve.py runs/reproduce/default runs/reproduce/goodfellow2014
	$(ONE_THREAD) $(BIN)/plausible train nade --data mnist:fixed --minutes 4 --out runs/reproduce/nade
	$(ONE_THREAD) $(BIN)/plausible train made --data mnist:fixed --hidden 4000 --l2 0 --ema 0.998 --minutes 7 --out runs/reproduce/made
	$(ONE_THREAD) $(BIN)/plausible train pixelrnn --data mnist:fixed --preset oord2016 --minutes 40 --out runs/reproduce/pixelrnn
	$(ONE_THREAD) $(BIN)/plausible train pixelcnn --data mnist:fixed --preset gated --minutes 40 --out runs/reproduce/pixelcnn
	for run in nade made pixelrnn pixelcnn; do $(ONE_THREAD) $(BIN)/plausible evaluate runs/reproduce/$$run || exit 1; done

clean:  ## remove what can be made again (runs/ stays)
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis
