# Descent: the commands of the book. `make html` and `make test` are all the set-up there is.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python

.PHONY: html pdf handout slides student assignment serve equations test bench clean

html: $(VENV)/installed
	@$(PY) -m book._ext.cli.build html

pdf: $(VENV)/installed
	@$(PY) -m book._ext.cli.build pdf

handout: $(VENV)/installed
	@$(PY) -m book._ext.cli.build handout "$(SECTION)"

slides: $(VENV)/installed
	@$(PY) -m book._ext.cli.build slides

student: $(VENV)/installed
	@$(PY) -m book._ext.cli.build student

assignment: $(VENV)/installed
	@$(PY) -m book._ext.cli.build assignment "$(SECTION)"

serve: $(VENV)/installed
	@$(PY) -m book._ext.cli.serve $(if $(PORT),--port $(PORT))

equations: $(VENV)/installed
	@$(PY) -m book._ext.page.equations

test: $(VENV)/installed
	@$(PY) -m pytest

bench: $(VENV)/installed
	@$(PY) -m tests.bench

clean:
	rm -rf _build

$(VENV)/installed: requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "descent: $(PYTHON) is not there; install Python 3.10 or newer: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "descent: Python %d.%d is too old, the book needs 3.10 or newer: make PYTHON=python3.11 html" % sys.version_info[:2])'
	@$(PYTHON) -m venv $(VENV) >/dev/null || { echo "descent: $(PYTHON) cannot make a virtual environment; apt-get install python3-venv" >&2; exit 1; }
	@echo "installing requirements.txt into $(VENV) (a few minutes, once)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(PY) -c "import matplotlib.font_manager"  # builds its font cache now, and not aloud in the first cell
	@touch $@
