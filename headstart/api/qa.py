"""Questions answered from your own documents, in Python: the same words as `headstart index` and `headstart ask`.

    headstart.index("documents/", to="my-index")
    headstart.ask("my-index", "why do leaves turn red?")["prediction"]
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import settings
from headstart.contract import Json
from headstart.progress import Silent, Voice

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index


def index(source: str | Path, to: str | Path, *, model: str | None = None, device: str = "auto", voice: Voice | None = None,
          **more: Any) -> Index:
    """An index of a folder or file of documents; settings of the group `index` are keyword arguments (`words=80`).

    An index that stands there keeps its settings and its model unless others are given; with the index itself as `source` and
    another `model` its vectors are made anew. Raises UserError.
    """
    from headstart.retrieval.index.build import DEFAULT_MODEL, build
    from headstart.retrieval.index.index import standing
    from headstart.runs.prepare import choose_device

    before, reference = standing(Path(source), Path(to))
    made = settings.build(before | {f"index.{name}": value for name, value in more.items()})["index"]
    chosen = model or reference or DEFAULT_MODEL
    named = None if chosen == "none" else chosen
    return build(str(source), Path(to), settings=made, model=named, voice=voice or Silent(), device=choose_device(device))


def ask(place: str | Path, question: str, *, writer: str | Path | None = None, rerank: str | Path | None = None, source: str | None = None,
        passages: int = 5, device: str = "auto", seed: int = 0, **more: Any) -> dict[str, Json]:
    """An answer from an index: {"question", "prediction", "sentences", "citations", "abstained", "note", "passages"}.

    Without a `writer` the nearest sentences are quoted. Settings of the group `generation` are keyword arguments. Raises UserError.
    """
    from headstart.retrieval.answering.pipeline import Asking
    from headstart.retrieval.index.index import Index
    from headstart.runs.prepare import choose_device

    chosen = {f"generation.{name}": value for name, value in more.items()}
    generation = settings.build(chosen)["generation"] if chosen else None
    asking = Asking.of(Index.open(Path(place)), writer=None if writer is None else str(writer),
                       reranker=None if rerank is None else str(rerank), device=choose_device(device))
    found = asking.passages(question, source=source, k=passages)
    return asking.row(question, found, asking.answer(question, found, generation, seed=seed, from_memory=source == "none"))
