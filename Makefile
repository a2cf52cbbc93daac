# make run     a picture from the bundled model, in a virtual environment with the runtime alone (no PyTorch)
# make test    everything that the tests need, then all of them
# make check   linters and type checker
PYTHON ?= python3
RUNTIME := .venv
DEV := .venv-dev

.PHONY: run test check clean

run: $(RUNTIME)/.installed
	$(RUNTIME)/bin/ddim-edge run --guidance-scale 1.5 --output fashion-mnist.png

test: $(DEV)/.installed
	$(DEV)/bin/python -m pytest

check: $(DEV)/.installed
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy

$(RUNTIME)/.installed: pyproject.toml
	$(PYTHON) -m venv $(RUNTIME)
	$(RUNTIME)/bin/python -m pip install --quiet --editable '.[cpu]'
	touch $@

$(DEV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(RUNTIME) $(DEV) build dist *.egg-info
