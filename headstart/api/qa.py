"""Questions answered from your own documents, in Python, as with `headstart index` and `headstart ask`.

    headstart.index("documents/", to="my-index")
    headstart.ask("my-index", "why do leaves turn red?")["prediction"]
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import settings
from headstart.api.inputs import describe
from headstart.api.keywords import name_columns
from headstart.api.notebook import default_reporter
from headstart.api.predictions import PredictedRow
from headstart.data.objects import Rows, read_rows
from headstart.progress import Reporter

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index

DOCUMENT_FIELDS = ("text", "title", "id")


def index(source: Rows, to: str | Path, *, model: str | None = None, device: str = "auto",
          columns: Mapping[str, str] | None = None, reporter: Reporter | None = None, quiet: bool = False,
          **overrides: Any) -> Index:
    """An index of a folder or file of documents, or of rows in memory, a document each (texts, dicts, a DataFrame …;
    the index keeps them).

    Settings of the group `index` are keyword arguments (`passage_words=80`), and so are columns (`text="body"`, `title`
    and `id`).

    An existing index keeps its settings and its model unless others are given; with the index itself as `source` and
    another `model` its vectors are computed again. Raises UserError.

    >>> index = headstart.index("documents", to="my-index", passage_words=80)
    >>> print(len(index), "passages")
    """
    from headstart.models.loading.device import choose_device
    from headstart.models.precision_choice import choose_evaluation_precision
    from headstart.retrieval.index.build import DEFAULT_MODEL, build
    from headstart.retrieval.index.index import previous_settings

    named_columns = name_columns(columns, {name: overrides[name] for name in DOCUMENT_FIELDS if name in overrides})
    reporter = reporter or default_reporter(quiet=quiet)
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else keep_documents(source, Path(to), reporter)
    index_values, reference = previous_settings(Path(path), Path(to))
    index_settings = settings.build(index_values | {f"index.{name}": value for name, value in overrides.items()
                                                    if name not in DOCUMENT_FIELDS})["index"]
    model, device = model or reference or DEFAULT_MODEL, choose_device(device)
    return build(path, Path(to), columns=named_columns, settings=index_settings,
                 model=None if model == "none" else model,
                 reporter=reporter, device=device, precision=choose_evaluation_precision("auto", device).name)


def keep_documents(source: Any, to: Path, reporter: Reporter) -> str:
    """The file that rows in memory become in the index's folder; raises UserError (2, 65, 73, 74)."""
    from headstart.retrieval.index.folder import ROWS, locked

    rows = read_rows(source)
    with locked(to):
        rows.write(to / ROWS)
    for line in (f"documents: {describe(rows)}, kept in {to / ROWS}", *rows.notes):
        reporter.info(line)
    return str(to / ROWS)


def ask(folder: str | Path, question: str, *, writer: str | Path | None = None, rerank: str | Path | None = None,
        retrieval: str | None = None, top: int = 5, device: str = "auto", seed: int = 0,
        **overrides: Any) -> PredictedRow:
    """An answer from an index: {"question", "prediction", "sentences", "citations", "abstained", "note", "passages"}.

    Without a `writer` the nearest sentences are quoted. Settings of the group `generation` are keyword arguments.
    Raises UserError.

    >>> answer = headstart.ask("my-index", "why do leaves turn red?")
    >>> print(answer["prediction"], answer["citations"])
    """
    from headstart.models.loading.device import choose_device
    from headstart.models.precision_choice import choose_evaluation_precision
    from headstart.retrieval.answering.pipeline import QAPipeline
    from headstart.retrieval.index.index import Index

    generation_values = {f"generation.{name}": value for name, value in overrides.items()}
    generation = settings.build(generation_values)["generation"] if generation_values else None
    device = choose_device(device)
    precision = choose_evaluation_precision("auto", device).name
    asking = QAPipeline.load(Index.open(Path(folder), precision=precision),
                             writer=None if writer is None else str(writer),
                             reranker=None if rerank is None else str(rerank), device=device, precision=precision)
    hits = asking.passages(question, source=retrieval, k=top)
    return PredictedRow(asking.to_json(question, hits, asking.answer(question, hits, generation, seed=seed,
                                                                     from_memory=retrieval == "none")))
