"""Pictures and tables of token tagging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.contract import Doubt, Figure, Json, Measures, Prediction
from headstart.tasks.token_tagging.reading import Tagged

WORDS = {"missed": "missed: nothing stands there", "spurious": "spurious: nothing should stand there",
         "wrong_type": "wrong type, right borders", "wrong_border": "wrong border, right type"}


def figures(examples: Sequence[Tagged], predictions: Sequence[Prediction], measures: Measures, tables: Mapping[str, Json]) -> list[Figure]:
    """Per type, errors by kind, sentences with most errors."""
    rows = [[name, held["support"], held["predicted"], held["precision"], held["recall"], held["f1"]]
            for name, held in tables["per_type"].items()]
    columns = ["type", "entities", "predicted", "precision", "recall", "F1"]
    order = most_errors(examples, measures)[:20]
    items = [{"text": examples[at].text[:2000], "title": f"row {examples[at].row}",
              "fields": {"in the file": told(examples[at], [(one.begin, one.end, one.type) for one in examples[at].found or ()]),
                         "prediction": told(examples[at], predictions[at].detail["entities"])}} for at in order]
    return [
        Figure("per_type", "Each type", "table", {"columns": columns, "rows": rows}, "An entity is right when type and both borders are."),
        Figure("errors", "Kinds of errors", "table", {"columns": ["error", "entities"],
                                                      "rows": [[words, tables["errors"][name]] for name, words in WORDS.items()]}),
        Figure("worst", "Sentences with most errors", "texts", {"items": items}),
    ]


def most_errors(examples: Sequence[Tagged], measures: Measures) -> list[int]:
    """The sentences with errors, most first."""
    wrong = [int(sum(measures[name][at] for name in WORDS)) for at in range(len(examples))]
    return sorted((at for at in range(len(examples)) if wrong[at]), key=lambda at: -wrong[at])


def doubts(examples: Sequence[Tagged], predictions: Sequence[Prediction], measures: Measures, labels: Sequence[str],
           count: int) -> list[Doubt]:
    """In each of the worst sentences, the first entity that is not in the file, or else is missing: the tag of its first word."""
    found = []
    for at in most_errors(examples, measures):
        example = examples[at]
        gold = [(one.begin, one.end, one.type) for one in example.found or ()]
        answered = [(one[0], one[1], one[2]) for one in predictions[at].detail["entities"]]
        strange = next((one for one in answered if one not in gold), None)
        wrong = strange or next((one for one in gold if one not in answered), None)
        label = f"B-{wrong[2]}" if strange is not None and wrong is not None else "O"
        if wrong is None or label not in labels:
            continue
        found.append(Doubt(example.row, example.text, None, told(example, [strange] if strange else []), told(example, gold),
                           places=((example.places[wrong[0]][0], labels.index(label)),)))
        if len(found) == count:
            break
    return found


def told(example: Tagged, found: Sequence[tuple[int, int, str]]) -> str:
    """Entities in words."""
    words = example.words
    return "; ".join(f"{' '.join(words[begin:end])} ({kind})" for begin, end, kind in found) or "(none)"
