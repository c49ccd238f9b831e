"""Pictures and tables of token tagging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.contract import Figure, Json, Measures, Prediction
from headstart.tasks._tagged import Tagged

WORDS = {"missed": "missed: nothing stands there", "spurious": "spurious: nothing should stand there",
         "wrong_type": "wrong type, right borders", "wrong_border": "wrong border, right type"}


def figures(examples: Sequence[Tagged], predictions: Sequence[Prediction], measures: Measures, tables: Mapping[str, Json]) -> list[Figure]:
    """Per type, errors by kind, sentences with most errors."""
    rows = [[name, held["support"], held["predicted"], held["precision"], held["recall"], held["f1"]]
            for name, held in tables["per_type"].items()]
    columns = ["type", "entities", "predicted", "precision", "recall", "F1"]
    wrong = [int(sum(measures[name][at] for name in WORDS)) for at in range(len(examples))]
    order = sorted((at for at in range(len(examples)) if wrong[at]), key=lambda at: -wrong[at])[:20]
    items = [{"text": examples[at].text[:2000], "title": f"row {examples[at].row}",
              "fields": {"in the file": told(examples[at], [(one.begin, one.end, one.type) for one in examples[at].found or ()]),
                         "prediction": told(examples[at], predictions[at].detail["entities"])}} for at in order]
    return [
        Figure("per_type", "Each type", "table", {"columns": columns, "rows": rows}, "An entity is right when type and both borders are."),
        Figure("errors", "Kinds of errors", "table", {"columns": ["error", "entities"],
                                                      "rows": [[words, tables["errors"][name]] for name, words in WORDS.items()]}),
        Figure("worst", "Sentences with most errors", "texts", {"items": items}),
    ]


def told(example: Tagged, found: Sequence[tuple[int, int, str]]) -> str:
    """Entities in words."""
    words = example.words
    return "; ".join(f"{' '.join(words[begin:end])} ({kind})" for begin, end, kind in found) or "(none)"
