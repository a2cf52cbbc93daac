# make run     a picture from the bundled model, in a virtual environment with the runtime alone (no PyTorch)
# make test    everything that the tests need, then all of them
# make test-fast   those that take less than five seconds
# make test-bench  rehearsals of benches with tiny models: what measures the program, not the program
# make test-all    all of them, test-bench, test-optimum, test-lerobot, test-adopt, test-deploy, test-triton, test-first-hour and docs
# make check   linters and type checker
# make bench-quick    a few ratios of speed; fails where one is worse than bench/quick.toml (about two minutes)
# make test-optimum   bundles of optimum-onnx beside its own pipelines, which run in an environment of their own
# make test-lerobot   exports of LeRobot's policies beside LeRobot itself, which is in a folder of its own
# make test-adopt     a published network in ONNX, adopted, beside its own package, which has an environment of its own
# make test-deploy     what deploy/ has, by the checkers of Dockerfiles and of Kubernetes, in an environment of their own
# make test-triton     a model repository in a real Triton Inference Server, in an environment of its own (Linux, x86-64)
# make test-first-hour     a stranger: a clone, a new environment, README.md from top to bottom; needs a package index
# make docs    the documentation as a site, in build/site; a broken link or a resource from elsewhere fails
# make wheel   the wheel of this working tree, in dist/
# make release     sdist, wheel and hashes of this commit in dist/, checked; TAG=yes tags it, too (CONTRIBUTING.md)
PYTHON ?= python3
RUNTIME := .venv
DEV := .venv-dev
OPTIMUM := .venv-optimum
LEROBOT := .venv-lerobot
ADOPT := .venv-adopt
DEPLOY := .venv-deploy
TRITON := .venv-triton
RELEASE := .venv-release
DOCS := .venv-docs
# Where this is set, each of the many processes that the tests start would compile our modules anew.
unexport PYTHONDONTWRITEBYTECODE
# One process more than cores: tests often wait for servers and for other processes.
WORKERS := $(shell $(PYTHON) -c "import os; print(min(4, 1 + (os.cpu_count() or 1)))")
# A file of tests runs in one process: they share their fixtures. Files with slow tests come first (tests/conftest.py).
PARALLEL := --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: run test test-fast test-bench test-all check bench-quick test-optimum test-lerobot test-adopt test-deploy test-triton test-first-hour docs wheel release clean

run: $(RUNTIME)/.installed
	$(RUNTIME)/bin/ddim-edge run --guidance-scale 1.5 --output fashion-mnist.png --force

test: $(DEV)/.installed
	$(DEV)/bin/python -m pytest $(PARALLEL) -m "not bench"

test-fast: $(DEV)/.installed
	$(DEV)/bin/python -m pytest $(PARALLEL) -m "not slow and not bench"

test-bench: $(DEV)/.installed
	$(DEV)/bin/python -m pytest -m bench

test-all: test test-bench test-optimum test-lerobot test-adopt test-deploy test-triton test-first-hour docs

check: $(DEV)/.installed
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/lint-imports
	$(DEV)/bin/mypy

bench-quick: $(DEV)/.installed
	$(DEV)/bin/python -m bench.quick

test-optimum: $(DEV)/.installed $(OPTIMUM)/.installed
	DDIM_EDGE_OPTIMUM_PYTHON=$(abspath $(OPTIMUM)/bin/python) $(DEV)/bin/python -m pytest tests/optimum

test-lerobot: $(DEV)/.installed $(LEROBOT)/.installed
	DDIM_EDGE_LEROBOT=$(abspath $(LEROBOT)) $(DEV)/bin/python -m pytest tests/lerobot

test-adopt: $(DEV)/.installed $(ADOPT)/.installed
	DDIM_EDGE_TERRAIN_PYTHON=$(abspath $(ADOPT)/bin/python) $(DEV)/bin/python -m pytest tests/terrain

test-deploy: $(DEV)/.installed $(DEPLOY)/.installed
	DDIM_EDGE_DEPLOY_TOOLS=$(abspath $(DEPLOY)/bin) $(DEV)/bin/python -m pytest tests/deploy

test-triton: $(DEV)/.installed $(TRITON)/.installed
	DDIM_EDGE_TRITON_PYTHON=$(abspath $(TRITON)/bin/python) $(DEV)/bin/python -m pytest tests/triton

test-first-hour:
	$(PYTHON) -m tests.first_hour

docs: $(DOCS)/.installed
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/python -m mkdocs build --strict --config-file docs_site/mkdocs.yml

wheel: $(RELEASE)/.installed
	rm -rf build
	$(RELEASE)/bin/python -m build --wheel --outdir dist

release: $(RELEASE)/.installed
	$(RELEASE)/bin/python -m release $(if $(TAG),--tag)

$(RUNTIME)/.installed: pyproject.toml
	$(PYTHON) -m venv $(RUNTIME)
	$(RUNTIME)/bin/python -m pip install --quiet --editable '.[cpu]'
	touch $@

$(DEV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(OPTIMUM)/.installed: tests/optimum/requirements.txt pyproject.toml
	$(PYTHON) -m venv $(OPTIMUM)
	$(OPTIMUM)/bin/python -m pip install --quiet --requirement $< --editable '.[optimum,text]'
	touch $@

$(LEROBOT)/.installed: tests/lerobot/requirements.txt
	$(DEV)/bin/python -m pip install --quiet --no-deps --upgrade --target $(LEROBOT) --requirement $<
	touch $@

$(ADOPT)/.installed: tests/terrain/requirements.txt constraints.txt
	$(PYTHON) -m venv $(ADOPT)
	$(ADOPT)/bin/python -m pip install --quiet --constraint constraints.txt numpy onnxruntime
	$(ADOPT)/bin/python -m pip install --quiet --no-deps --requirement $<
	touch $@

$(DEPLOY)/.installed: tests/deploy/requirements.txt
	$(PYTHON) -m venv $(DEPLOY)
	$(DEPLOY)/bin/python -m pip install --quiet --requirement $<
	touch $@

$(TRITON)/.installed: tests/triton/requirements.txt pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TRITON)
	$(TRITON)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[cpu,serve]'
	$(TRITON)/bin/python -m pip install --quiet --no-deps --requirement $<
	touch $@

$(RELEASE)/.installed: release/requirements.txt
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --requirement $<
	touch $@

$(DOCS)/.installed: docs_site/requirements.txt pyproject.toml
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --requirement $< --editable '.[cpu,serve]'
	touch $@

clean:
	rm -rf $(RUNTIME) $(DEV) $(OPTIMUM) $(LEROBOT) $(ADOPT) $(DEPLOY) $(TRITON) $(RELEASE) $(DOCS) build dist *.egg-info
