"""Questions answered from your own documents, in Python, as with `headstart index` and `headstart ask`.

    headstart.index("documents/", to="my-index")
    headstart.ask("my-index", "why do leaves turn red?")["prediction"]
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import settings
from headstart.contract import Json
from headstart.progress import Reporter

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index


def index(source: str | Path, to: str | Path, *, model: str | None = None, device: str = "auto",
          reporter: Reporter | None = None, **overrides: Any) -> Index:
    """An index of a folder or file of documents; settings of the group `index` are keyword arguments
    (`passage_words=80`).

    An existing index keeps its settings and its model unless others are given; with the index itself as `source` and
    another `model` its vectors are computed again. Raises UserError.

    >>> index = headstart.index("documents", to="my-index", passage_words=80)
    >>> print(len(index), "passages")
    """
    from headstart.models.loading.device import choose_device
    from headstart.retrieval.index.build import DEFAULT_MODEL, build
    from headstart.retrieval.index.index import previous_settings

    index_values, reference = previous_settings(Path(source), Path(to))
    index_settings = settings.build(index_values | {f"index.{name}": value
                                                    for name, value in overrides.items()})["index"]
    model = model or reference or DEFAULT_MODEL
    return build(str(source), Path(to), settings=index_settings, model=None if model == "none" else model,
                 reporter=reporter or Reporter(), device=choose_device(device))


def ask(folder: str | Path, question: str, *, writer: str | Path | None = None, rerank: str | Path | None = None,
        retrieval: str | None = None, top: int = 5, device: str = "auto", seed: int = 0,
        **overrides: Any) -> dict[str, Json]:
    """An answer from an index: {"question", "prediction", "sentences", "citations", "abstained", "note", "passages"}.

    Without a `writer` the nearest sentences are quoted. Settings of the group `generation` are keyword arguments.
    Raises UserError.

    >>> answer = headstart.ask("my-index", "why do leaves turn red?")
    >>> print(answer["prediction"], answer["citations"])
    """
    from headstart.models.loading.device import choose_device
    from headstart.retrieval.answering.pipeline import QAPipeline
    from headstart.retrieval.index.index import Index

    generation_values = {f"generation.{name}": value for name, value in overrides.items()}
    generation = settings.build(generation_values)["generation"] if generation_values else None
    asking = QAPipeline.load(Index.open(Path(folder)), writer=None if writer is None else str(writer),
                       reranker=None if rerank is None else str(rerank), device=choose_device(device))
    hits = asking.passages(question, source=retrieval, k=top)
    return asking.to_json(question, hits, asking.answer(question, hits, generation, seed=seed,
                                                        from_memory=retrieval == "none"))
