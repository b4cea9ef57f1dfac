# Descent: the commands of the book. `make html` and `make test` are all the set-up there is.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python

.PHONY: html pdf handout slides student assignment serve equations test test-quick looks lock bench clean

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

# Three side by side, on two cores, too: for a sixth of their time tests wait for a browser, for TeX or for a kernel.
test: $(VENV)/installed
	@$(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(if $(filter true,$(CI)),,-m "not slow")

test-quick: $(VENV)/installed
	@$(PY) -m pytest -m "quick and not slow"

looks: $(VENV)/installed
	@LOOKS=accept $(PY) -m pytest -n 2 tests/looks

bench: $(VENV)/installed
	@$(PY) -m tests.bench

clean:
	rm -rf _build

# Only this needs uv. What is locked stays as it is where requirements.txt allows: remove the lock first to renew all of it.
lock:
	@$(PYTHON) -m venv _build/.uv
	@_build/.uv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	@UV_PYTHON_DOWNLOADS=never _build/.uv/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
		--no-emit-package torch --custom-compile-command "make lock" --output-file requirements.lock requirements.txt

$(VENV)/installed: requirements.lock requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "descent: $(PYTHON) is not there; install Python 3.10 or newer: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "descent: Python %d.%d is too old, the book needs 3.10 or newer: make PYTHON=python3.11 html" % sys.version_info[:2])'
	@$(PYTHON) -m venv $(VENV) >/dev/null || { echo "descent: $(PYTHON) cannot make a virtual environment; apt-get install python3-venv" >&2; exit 1; }
	@echo "installing requirements.lock into $(VENV) (a few minutes, once)"
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@# what is left is torch: each of its builds has hashes of its own
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(PY) -c "import matplotlib.font_manager"  # builds its font cache now, and not aloud in the first cell
	@touch $@
