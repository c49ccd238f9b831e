"""JSON and JSON lines: layouts, damage, odd values."""

import json

from odd_file import FIRST, REVIEWS, json_lines, labelled, read, refused, review_lines

OBJECTS = [{"text": text, "label": label} for text, label in REVIEWS]
LINES = review_lines()
LISTED = json.dumps(OBJECTS)
COLUMNS = {"text": [text for text, _ in REVIEWS], "label": [label for _, label in REVIEWS]}


def indexed(values):
    """A pandas column: its values by the row's number."""
    return {str(place): value for place, value in enumerate(values)}


LAYOUTS = [
    read("lines.jsonl", LINES, FIRST, "jsonl", count=6),
    read("lines.ndjson", LINES, FIRST, count=6),
    read("lines-called.json", LINES, FIRST, "jsonl"),
    read("lines-called.csv", LINES, FIRST, "N105"),
    read("lines-crlf.jsonl", LINES.replace("\n", "\r\n"), FIRST, count=6),
    read("lines-no-last-end.jsonl", LINES.rstrip(), FIRST, count=6),
    read("lines-with-blank-ones.jsonl", LINES.replace("\n", "\n\n"), FIRST, count=6),
    read("lines-marked.jsonl", "\ufeff" + LINES, FIRST, count=6),
    read("lines-utf-16.jsonl", LINES.encode("utf-16"), FIRST, count=6),
    read("list.json", LISTED, FIRST, count=6),
    read("list-indented.json", json.dumps(OBJECTS, indent=2), FIRST, count=6),
    read("list-called.jsonl", LISTED, FIRST, count=6),
    read("keyed.json", json.dumps({"data": OBJECTS}), FIRST, count=6),
    read("keyed-with-more.json", json.dumps({"version": 1, "rows": OBJECTS}), FIRST, count=6),
    read("pandas-columns.json", json.dumps({name: indexed(values) for name, values in COLUMNS.items()}), FIRST, count=6),
    read("pandas-lists.json", json.dumps(COLUMNS), FIRST, count=6),
    read("pandas-split.json", json.dumps({"columns": list(COLUMNS), "index": list(range(6)),
                                          "data": [list(row) for row in REVIEWS]}), FIRST, count=6),
    read("pandas-index.json", json.dumps(indexed(OBJECTS)), FIRST, count=6),
    read("pandas-table.json", json.dumps({"schema": {"fields": [{"name": "text", "type": "string"}]},
                                          "data": OBJECTS}), FIRST, count=6),
    read("lists-with-header.json", json.dumps([["text", "label"], *map(list, REVIEWS)]), FIRST, count=6),
    read("nested.jsonl", json_lines(*({"ticket": {"body": text, "subject": "s"}, "label": label}
                                      for text, label in REVIEWS)), FIRST, 'not used: "ticket.subject"',
         columns={"text": "ticket.body", "label": "label"}),
    refused("nested-misspelled.jsonl", json_lines(*({"ticket": {"body": text}, "label": label}
                                                    for text, label in REVIEWS)), 65, "ticket.body",
            columns={"text": "ticket.bodi", "label": "label"}),
    read("more-keys-later.jsonl", LINES + json_lines({"text": "late", "label": "good", "note": 1}), FIRST,
         'not used: "note"', count=7),
    read("keys-in-other-order.jsonl", json_lines(*({"label": label, "text": text} for text, label in REVIEWS)), FIRST),
    read("empty-key.jsonl", review_lines(**{"": 1}), FIRST, "the column without a name"),
    read("numbers-as-labels.jsonl", json_lines(*({"text": text, "label": place % 2}
                                                 for place, (text, _) in enumerate(REVIEWS))), [{"label": 0}]),
    read("booleans-as-labels.jsonl", json_lines(*({"text": text, "label": label == "good"} for text, label in REVIEWS)),
         [{"label": True}]),
    read("large-integers.jsonl", review_lines(number=2**70), FIRST, 'not used: "number"'),
    refused("huge-integers.jsonl", review_lines(number=10**400), 65, "huge-integers.jsonl:1:", "E110", "too large"),
    read("escaped-emoji.jsonl", "".join(json.dumps({"text": f"\U0001f600 {text}", "label": label}) + "\n"
                                        for text, label in REVIEWS), labelled(("\U0001f600 good roses", "good"))),
    read("solidus-escaped.jsonl", LINES.replace("good roses", "good\\/roses"), labelled(("good/roses", "good"))),
]
DAMAGED = [
    refused("cut-off.jsonl", LINES + '{"text": "half', 65, "cut-off.jsonl:7", "E111"),
    refused("cut-off.json", LISTED[:-20], 65, "cut-off.json"),
    refused("no-json-line.jsonl", LINES + "text: good\n", 65, "no-json-line.jsonl:7", "E110"),
    refused("list-line.jsonl", LINES + "[1, 2]\n", 65, "list-line.jsonl:7", "E110"),
    refused("number-line.jsonl", LINES + "3\n", 65, "number-line.jsonl:7", "E110"),
    refused("null-line.jsonl", LINES + "null\n", 65, "null-line.jsonl:7", "E110"),
    refused("trailing-commas.jsonl", LINES.replace("}\n", "},\n"), 65, "E110"),
    refused("objects-end-to-end.jsonl", LINES.replace("\n", ""), 65, "objects-end-to-end.jsonl:1", "E110"),
    refused("single-quotes.jsonl", LINES.replace('"', "'"), 65),
    refused("python-literals.jsonl", LINES + "{'text': None, 'label': True}\n", 65, "python-literals.jsonl:7", "E110"),
    refused("bad-escape.jsonl", LINES + '{"text": "\\x", "label": "good"}\n', 65, "bad-escape.jsonl:7", "E110"),
    refused("raw-line-end.jsonl", LINES + '{"text": "one\ntwo", "label": "good"}\n', 65, "raw-line-end.jsonl:7", "E110"),
    refused("lone-surrogate.jsonl", LINES + '{"text": "cut \\ud83d", "label": "good"}\n', 65, "lone-surrogate.jsonl:7",
            "E125"),
    refused("lone-surrogate-label.jsonl", LINES + '{"text": "cut", "label": "\\udc00"}\n', 65, ":7", "E125"),
    refused("nul-escaped-label.jsonl", LINES + '{"text": "", "label": "good"}\n', 65, "E201"),
    refused("deep.jsonl", LINES + '{"text": ' + "[" * 5000 + "]" * 5000 + ', "label": "good"}\n', 65, "deep.jsonl:7"),
    refused("deep.json", "[" * 100_000 + "]" * 100_000, 65),
    refused("empty-list.json", "[]", 65),
    refused("empty-object.json", "{}", 65),
    refused("null.json", "null", 65),
    refused("a-string.json", '"hello"', 65),
    refused("a-number.json", "12", 65),
    refused("strings.json", json.dumps(["a b", "c d"]), 65, "row 1", "an object was expected"),
    refused("empty-objects.jsonl", "{}\n" * 5, 65),
    refused("csv-called.json", "text,label\ngood roses,good\n", 65, "E110"),
    refused("csv-called.jsonl", "text,label\ngood roses,good\n", 65, "E110"),
    read("doubled-key.jsonl", LINES + '{"text": "one", "text": "two", "label": "good"}\n', FIRST, "W104", count=7),
    refused("not-a-number.jsonl", LINES + '{"text": NaN, "label": "good"}\n', 65, ":7"),
    refused("null-text.jsonl", LINES + '{"text": null, "label": "good"}\n', 65, "null-text.jsonl:7:1", "E201"),
    refused("missing-text.jsonl", LINES + '{"label": "good"}\n', 65, "missing-text.jsonl:7:1", "E201"),
    refused("null-label.jsonl", LINES + '{"text": "a", "label": null}\n', 65, "null-label.jsonl:7:2", "E202"),
    read("list-text.jsonl", LINES + '{"text": ["a"], "label": "good"}\n', FIRST, "W101", "lists in some rows and texts"),
    refused("object-label.jsonl", LINES + '{"text": "a", "label": {"x": 1}}\n', 65, ":7:2"),
    read("list-label.jsonl", LINES + '{"text": "a", "label": ["good", "bad"]}\n', [], "multilabel", "W101"),
    read("text-in-some-rows-a-number.jsonl", LINES + '{"text": 3, "label": "good"}\n', FIRST, "W101", count=7),
]
FILES = [*LAYOUTS, *DAMAGED]
