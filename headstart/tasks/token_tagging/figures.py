"""Figures of token tagging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.contract import ErrorToExplain, Figure, Json, Measures, Prediction
from headstart.tasks.token_tagging.reading import TaggedText

ERROR_NAMES = {"missed": "missed: nothing predicted there", "spurious": "spurious: no entity there",
               "wrong_type": "wrong type, right borders", "wrong_border": "wrong border, right type"}

MAX_SENTENCES, MAX_TEXT = 50, 2000  # sentences with errors that are shown, and characters of one


def figures(examples: Sequence[TaggedText], predictions: Sequence[Prediction], measures: Measures,
            tables: Mapping[str, Json]) -> list[Figure]:
    """Per type, errors by kind, sentences with most errors."""
    rows = [[name, type_scores["support"], type_scores["predicted"], type_scores["precision"], type_scores["recall"],
             type_scores["f1"]]
            for name, type_scores in tables["per_type"].items()]
    columns = ["type", "entities", "predicted", "precision", "recall", "F1"]
    order = most_errors(examples, measures)[:MAX_SENTENCES]
    items = [{"text": examples[index].text[:MAX_TEXT], "title": f"row {examples[index].row}",
              "fields": {words.split(":")[0]: int(measures[name][index]) for name, words in ERROR_NAMES.items()
                         if measures[name][index]},
              "layers": {"in the file": characters(examples[index], gold_spans(examples[index])),
                         "prediction": characters(examples[index], predictions[index].detail["entities"])}}
             for index in order]
    return [
        Figure("per_type", "Scores per type", "table", {"columns": columns, "rows": rows},
               "An entity is right when type and both borders are."),
        Figure("errors", "Kinds of errors", "table", {"columns": ["error", "entities"],
                                                      "rows": [[words, tables["errors"][name]]
                                                               for name, words in ERROR_NAMES.items()]}),
        Figure("worst", "Sentences with most errors", "spans", {"items": items, "together": False},
               "Dashed: what the other line lacks."),
    ]


def most_errors(examples: Sequence[TaggedText], measures: Measures) -> list[int]:
    """The sentences with errors, most first."""
    error_counts = [int(sum(measures[name][index] for name in ERROR_NAMES)) for index in range(len(examples))]
    return sorted((index for index in range(len(examples)) if error_counts[index]),
                  key=lambda index: -error_counts[index])


def explainable_errors(examples: Sequence[TaggedText], predictions: Sequence[Prediction], measures: Measures,
                       labels: Sequence[str], count: int) -> list[ErrorToExplain]:
    """In each of the worst sentences, the first spurious or else missed entity: the tag of its first word."""
    errors = []
    for index in most_errors(examples, measures):
        example = examples[index]
        gold = gold_spans(example)
        predicted = [(entity[0], entity[1], entity[2]) for entity in predictions[index].detail["entities"]]
        spurious = next((entity for entity in predicted if entity not in gold), None)
        error = spurious or next((entity for entity in gold if entity not in predicted), None)
        label = f"B-{error[2]}" if spurious is not None and error is not None else "O"
        if error is None or label not in labels:
            continue
        predicted_text = entities_text(example, [spurious] if spurious else [])
        first_character = example.word_spans[error[0]][0]
        errors.append(ErrorToExplain(example.row, example.text, None, predicted_text, entities_text(example, gold),
                                     position_columns=((first_character, labels.index(label)),)))
        if len(errors) == count:
            break
    return errors


def gold_spans(example: TaggedText) -> list[tuple[int, int, str]]:
    """Words and type of each gold entity."""
    return [(entity.begin, entity.end, entity.type) for entity in example.entities or ()]


def characters(example: TaggedText, entities: Sequence[tuple[int, int, str]]) -> list[Json]:
    """The characters of each entity with its type, as far as the text is shown."""
    spans = ((example.word_spans[entity[0]][0], example.word_spans[entity[1] - 1][1], entity[2]) for entity in entities)
    return [[start, end, kind] for start, end, kind in spans if end <= MAX_TEXT]


def entities_text(example: TaggedText, entities: Sequence[tuple[int, int, str]]) -> str:
    """Entities as text, for the report."""
    words = example.words
    return "; ".join(f"{' '.join(words[start:end])} ({kind})" for start, end, kind in entities) or "(none)"
