"""Odd labels, texts, numbers, tags, questions, choices and splits, of every task."""

import json

from odd_file import FIRST, REVIEWS, OddFile, delimited, json_lines, labelled, read, refused

PLAIN = delimited()
CLASSES = "text-classification"
PASSAGE = "The cat sat on the mat. A dog ran home."


def folder_of_splits(train, dev):
    """A folder with a training and a dev file."""
    def write(path):
        path.mkdir()
        (path / "train.csv").write_text(train, encoding="utf-8")
        (path / "dev.csv").write_text(dev, encoding="utf-8")
    return write


def classes(name, rows, *words, **options):
    """Labelled rows that are read as they are."""
    return read(f"{name}.csv", delimited(rows=rows), labelled(*rows[:2]), *words, count=len(rows),
                **{"task": CLASSES} | options)


LABELS = [
    classes("case-of-labels", [("a b", "Good"), ("c d", "good"), ("e f", "bad"), ("g h", "bad")], "W204", "'Good'"),
    classes("composed-labels", [("a", "caf\u00e9"), ("b", "cafe\u0301"), ("c", "bar"), ("d", "bar")], "W204"),
    classes("zero-width-labels", [("a", "good"), ("b", "go\u200bod"), ("c", "bad"), ("d", "bad")], "W204", "\\u200b"),
    classes("marked-label", [("a", "good"), ("b", "\ufeffgood"), ("c", "bad"), ("d", "bad")], "W204"),
    classes("soft-hyphen-label", [("a", "good"), ("b", "go\u00adod"), ("c", "bad"), ("d", "bad")], "W204"),
    classes("blank-behind-label", [("a", "good"), ("b", "good "), ("c", "bad"), ("d", "bad")], "W204"),
    classes("no-break-blank-in-label", [("a", "so so"), ("b", "so\u00a0so"), ("c", "bad"), ("d", "bad")], "W204"),
    classes("whole-and-decimal-labels", [("a", "1"), ("b", "1.0"), ("c", "0"), ("d", "0.0")], "W204"),
    classes("full-width-labels", [("a", "1"), ("b", "１"), ("c", "0"), ("d", "0")], "W204"),
    classes("labels-with-line-ends", [("a", "so\nso"), ("b", "fine"), ("c", "so\nso"), ("d", "fine")]),
    classes("labels-with-commas", [("a", "so, so"), ("b", "fine"), ("c", "so, so"), ("d", "fine")]),
    classes("labels-with-escapes", [("a", "\x1b[1mbold"), ("b", "fine"), ("c", "\x1b[1mbold"), ("d", "fine")]),
    classes("labels-of-emoji", [("a", "\U0001f600"), ("b", "\U0001f622"), ("c", "\U0001f600"), ("d", "\U0001f622")]),
    classes("labels-right-to-left", [("a", "טוב"), ("b", "רע"), ("c", "טוב"), ("d", "רע")]),
    classes("labels-na", [("a", "NA"), ("b", "null"), ("c", "NA"), ("d", "None")]),
    classes("labels-true-false", [("a", "True"), ("b", "False"), ("c", "True"), ("d", "False")]),
    classes("labels-with-leading-noughts", [("a", "007"), ("b", "7"), ("c", "007"), ("d", "7")]),
    classes("a-long-label", [("a", "x" * 5000), ("b", "y"), ("c", "x" * 5000), ("d", "y")]),
    classes("10,000-labels", [(f"text {n}", f"label {n % 10_000}") for n in range(20_000)], "10000 labels"),
    classes("each-row-its-label", [(f"text {n}", f"label {n}") for n in range(12)], "W205"),
    classes("one-row-of-a-label", [*REVIEWS, ("odd one", "other")], "W205", "'other'"),
    classes("few-rows-of-a-label", [*REVIEWS, ("odd one", "other"), ("odd two", "other")], "W206", "'other'"),
    refused("one-label.csv", delimited(rows=[(f"text {n}", "same") for n in range(6)]), 65, "E203", "'same'",
            task=CLASSES),
    refused("one-row.csv", delimited(rows=[("alone", "good")]), 65, "E203", task=CLASSES),
    refused("no-label.csv", delimited(rows=[(f"text {n}", "") for n in range(6)]), 65, "E202", task=CLASSES),
    refused("a-missing-label.csv", PLAIN + "lost,\n", 65, "a-missing-label.csv:8:2", "E202"),
    refused("a-blank-label.csv", PLAIN + "lost,   \n", 65, "a-blank-label.csv:8:2", "E202"),
    refused("label-column-unnamed.csv", PLAIN, 65, "no column", task="regression", columns={"text": "text", "target": "score"}),
    refused("no-such-task.csv", PLAIN, 2, "Did you mean", task="text-clasification"),
    refused("flag-of-another-task.csv", PLAIN, 2, "--target", task=CLASSES, columns={"target": "label"}),
]
TEXTS = [
    refused("an-empty-text.csv", PLAIN + ",good\n", 65, "an-empty-text.csv:8:1", "E201"),
    refused("a-blank-text.csv", PLAIN + "   ,good\n", 65, "a-blank-text.csv:8:1", "E201"),
    refused("a-quoted-blank-text.csv", PLAIN + '" \n ",good\n', 65, "E201"),
    refused("all-texts-empty.csv", "text,label\n" + ",a\n,b\n" * 3, 65, task=CLASSES),
    read("empty-texts-skipped.csv", PLAIN + ",good\n ,bad\n", FIRST, "E201", count=6, settings={"data.bad_rows": "skip"}),
    refused("all-skipped.csv", "text,label\n,a\n,b\n", 65, task=CLASSES, settings={"data.bad_rows": "skip"}),
    classes("missing-words", [*REVIEWS, ("nan", "good"), ("NULL", "bad"), ("#N/A", "good")], "W212", "'nan'",
            "+ 2 more like it"),
    classes("words-that-hold-missing-words", [("nano roses", "good"), ("null and void", "bad")] * 2),
    classes("zero-width-texts", [("\u200b", "good"), ("b", "bad"), ("\u200c", "good"), ("d", "bad")]),
    classes("punctuation-only", [("!!!", "good"), ("???", "bad"), ("...", "good"), ("---", "bad")]),
    classes("digits-only", [("1", "good"), ("2", "bad"), ("3", "good"), ("4", "bad")]),
    classes("urls-only", [("https://a.example/x?y=1", "good"), ("http://b.example", "bad")] * 2),
    classes("text-holds-its-label", [(f"label: {label} {n}", label) for n in range(12) for label in ("good", "bad")], "W213",
            "100% of the training texts"),
    classes("text-names-all-labels", [(f"good or bad? {n}", label) for n in range(12) for label in ("good", "bad")], "W203"),
    classes("doubled-rows", [*REVIEWS, REVIEWS[0]], "W202", "line 2"),
    classes("contradicting-rows", [*REVIEWS, ("good roses", "bad")], "W203", "'bad' here and 'good'"),
    classes("rows-but-for-case", [*REVIEWS, ("Good, Roses!", "good")], "W208"),
    classes("all-rows-the-same", [("same", "good"), ("same", "bad")] * 4, "W203", "W202"),
    OddFile("leak-folder", folder_of_splits(PLAIN, delimited(rows=REVIEWS[:2])), 0, ("W201", "a leak"), tuple(FIRST)),
    OddFile("leak-but-for-case", folder_of_splits(PLAIN, delimited(rows=[("GOOD roses.", "good"), ("new", "bad")])), 0,
            ("W208", "dev are in train too"), tuple(FIRST)),
    OddFile("label-of-dev-alone", folder_of_splits(PLAIN, delimited(rows=[("new one", "other"), ("new", "bad")])), 0,
            ("W207", "'other' occurs in dev"), tuple(FIRST)),
    OddFile("dev-of-other-columns", folder_of_splits(PLAIN, delimited(header=("body", "class"), rows=REVIEWS)), 0,
            ("text = body", "label = class"), tuple(FIRST)),
    OddFile("empty-dev", folder_of_splits(PLAIN, ""), 65, ("dev.csv", "E101")),
    OddFile("dev-header-only", folder_of_splits(PLAIN, "text,label\n"), 65, ("dev.csv", "E102")),
    OddFile("dev-with-a-fault", folder_of_splits(PLAIN, PLAIN + "a,b,c\n"), 65, ("dev.csv:8", "E104")),
]


def numbers(name, value, *words, exit_code=65):
    """Five good targets and an odd one."""
    content = "text;target\n" + "".join(f"text {n};{n}.25\n" for n in range(5)) + f"odd;{value}\n"
    return refused(f"target-{name}.csv", content, exit_code, f"target-{name}.csv:7:2", *words, task="regression") \
        if exit_code else read(f"target-{name}.csv", content, [{"text": "text 0"}], *words, count=6, task="regression")


NUMBERS = [
    numbers("decimal-comma", "1,5", "E305"), numbers("thousands", "1,000.5", "E305"), numbers("percent", "50%", "E305"),
    numbers("currency", "$3", "E305"), numbers("infinite", "inf", "E305"), numbers("no-number", "nan", "E305"),
    numbers("overflow", "1e999", "E305"), numbers("hexadecimal", "0x1F", "E305"), numbers("underscore", "1_000", "E305"),
    numbers("a-half", "½", "E305"), numbers("a-date", "2024-01-02", "E305"), numbers("a-time", "12:30", "E305"),
    numbers("a-word", "high", "E305"), numbers("a-fraction", "3/4", "E305"), numbers("a-range", "3-4", "E305"),
    numbers("missing", "", "E202"),
    numbers("negative", "-2.5", exit_code=0), numbers("exponent", "1e3", exit_code=0), numbers("signed", "+2", exit_code=0),
    numbers("blanks-around", " 2.5 ", exit_code=0), numbers("whole", "7", exit_code=0), numbers("nought", "0", exit_code=0),
]


def spans(*marks):
    """Spans of one kind."""
    return [{"start": start, "end": end, "type": "X"} for start, end in marks]


def tagging(name, row, *words, exit_code=65):
    """Two good sentences and an odd one."""
    good = ({"text": "Anna sleeps", "spans": spans((0, 4))}, {"text": "Bob runs", "spans": spans((0, 3))}) \
        if "text" in row else ({"tokens": ["Anna", "sleeps"], "tags": ["B-X", "O"]}, {"tokens": ["Bob"], "tags": ["B-X"]})
    content = json_lines(*good, row)
    return refused(f"tags-{name}.jsonl", content, exit_code, f"tags-{name}.jsonl:3", *words, task="token-tagging") \
        if exit_code else read(f"tags-{name}.jsonl", content, [], *words, count=3, task="token-tagging")


CONLL = "Anna B-PER\nsleeps O\n\nBob B-PER\nran O\n\n"
TAGS = [
    tagging("fewer", {"tokens": ["a", "b"], "tags": ["O"]}, "E301"), tagging("more", {"tokens": ["a"], "tags": ["O", "O"]}, "E301"),
    tagging("of-no-form", {"tokens": ["a"], "tags": ["Q-X"]}, "E302"), tagging("number", {"tokens": ["a"], "tags": [3]}, "E302"),
    tagging("none", {"tokens": [], "tags": []}, "E201"), tagging("empty-token", {"tokens": ["a", ""], "tags": ["O", "O"]}, "E201"),
    tagging("inside-first", {"tokens": ["a", "b"], "tags": ["O", "I-X"]}, "W210", exit_code=0),
    tagging("span-beyond", {"text": "Anna", "spans": spans((0, 9))}, "E303"),
    tagging("span-reversed", {"text": "Anna", "spans": spans((3, 1))}, "E303"),
    tagging("span-negative", {"text": "Anna", "spans": spans((-3, 2))}, "E303"),
    tagging("spans-overlap", {"text": "Anna Bob Eve", "spans": spans((0, 8), (5, 12))}, "E304"),
    tagging("span-inside-a-word", {"text": "Anna sleeps", "spans": spans((0, 3))}, "W211", exit_code=0),
    tagging("no-spans", {"text": "nobody here", "spans": []}, exit_code=0),
    tagging("emoji-before-span", {"text": "\U0001f600 Anna", "spans": spans((2, 6))}, exit_code=0),
    read("spaces.conll", CONLL, [{"tokens": ["Anna", "sleeps"], "tags": ["B-PER", "O"]}], "conll", count=2),
    read("tabs.conll", CONLL.replace(" ", "\t"), [{"tokens": ["Anna", "sleeps"]}], count=2),
    read("crlf.conll", CONLL.replace("\n", "\r\n"), [{"tokens": ["Anna", "sleeps"]}], count=2),
    read("no-last-blank-line.conll", CONLL.rstrip(), [{"tokens": ["Anna", "sleeps"]}], count=2),
    read("document-start.conll", "-DOCSTART- O\n\n" + CONLL, [{"tokens": ["Anna", "sleeps"]}], count=2),
    read("comments.conll", "# id = 1\n" + CONLL, [{"tokens": ["Anna", "sleeps"]}], count=2),
    read("four-columns.conll", CONLL.replace(" ", " NN I-NP "), [{"tags": ["B-PER", "O"]}], count=2),
    read("blank-lines-doubled.conll", CONLL.replace("\n\n", "\n\n\n"), [{"tokens": ["Anna", "sleeps"]}], count=2),
    refused("a-column-less.conll", CONLL + "alone\n\n", 65, "a-column-less.conll:7", "E115"),
    refused("a-column-more.conll", CONLL + "one O more\n\n", 65, "a-column-more.conll:7", "E115"),
    refused("mixed-separators.conll", CONLL + "one\tO\n\n", 65, "mixed-separators.conll:7", "E116"),
    refused("tag-of-no-form.conll", CONLL + "one Z-PER\n\n", 65, "E302"),
    refused("nul.conll", CONLL + "o\0ne O\n\n", 65, "nul.conll:7:2", "E106"),
]


def squad(*questions, context=PASSAGE):
    """A SQuAD file of one passage."""
    return json.dumps({"data": [{"title": "t", "paragraphs": [{"context": context, "qas": list(questions)}]}]})


def question(number, text="cat", start=4, **more):
    """A question of a SQuAD file."""
    return {"id": str(number), "question": f"who is {number}?", "answers": [{"text": text, "answer_start": start}]} | more


def asked(answer, start=None, **more):
    """A row of question, passage and answer."""
    return {"question": "who?", "passage": PASSAGE, "answer": answer} | ({} if start is None else {"start": start}) | more


QUESTIONS = [
    read("squad.json", squad(question(1), question(2, "dog", 26)), [{"question": "who is 1?", "answer": ["cat"]}],
         "SQuAD", 'not used: "title"', count=2),
    read("squad-start-beside.json", squad(question(1, start=5)), [], "W220"),
    read("squad-start-missing.json", squad({"id": "1", "question": "who?", "answers": [{"text": "cat"}]}), []),
    refused("squad-answer-elsewhere.json", squad(question(1, "horse")), 65, "E320"),
    read("squad-doubled-id.json", squad(question(1), question(1)), [], "W223"),
    refused("squad-impossible-with-answer.json", squad(question(1), question(2, is_impossible=True)), 65, "E324"),
    refused("squad-start-a-word.json", squad(question(1, start="four")), 65, "E321"),
    refused("squad-empty-question.json", squad(question(1, question="")), 65, "E201"),
    refused("squad-empty-passage.json", squad(question(1), context=" "), 65, "E201"),
    refused("squad-without-questions.json", squad(), 65),
    read("answers-without-starts.jsonl", json_lines(asked("cat"), asked("dog")), [{"answer": "cat"}], count=2),
    read("answer-twice-in-passage.jsonl", json_lines(asked("a", passage="a cat, a dog"), asked("dog")), [], "W221"),
    read("answer-of-other-case.jsonl", json_lines(asked("THE CAT"), asked("dog")), [], "W222"),
    refused("answer-not-in-passage.jsonl", json_lines(asked("cat"), asked("horse", 3)), 65,
            "answer-not-in-passage.jsonl:2:3", "E320"),
    refused("start-a-half.jsonl", json_lines(asked("cat", 4), asked("dog", 2.5)), 65, "start-a-half.jsonl:2:4", "E321"),
    refused("question-empty.jsonl", json_lines(asked("cat"), asked("dog", question=" ")), 65, ":2:1", "E201"),
    refused("passage-empty.jsonl", json_lines(asked("cat"), asked("dog", passage="")), 65, ":2:2", "E201"),
]


def chosen(name, row, *words, exit_code=65):
    """Two good rows of choices and an odd one."""
    good = ({"context": "a", "choices": ["b", "c"], "answer": 0}, {"context": "d", "choices": ["e", "f"], "answer": 1})
    return OddFile(f"choices-{name}.jsonl", json_lines(*good, {"context": "g"} | row).encode(), exit_code, words,
                   task="multiple-choice")


CHOICES = [
    chosen("single", {"choices": ["h"], "answer": 0}, ":3:2", "E331"), chosen("none", {"choices": [], "answer": 0}, "E331"),
    chosen("text", {"choices": "h", "answer": 0}, "E330"), chosen("empty-one", {"choices": ["h", ""], "answer": 0}, "E332"),
    chosen("beyond", {"choices": ["h", "i"], "answer": 7}, ":3:3", "E333"),
    chosen("negative", {"choices": ["h", "i"], "answer": -2}, "E333"),
    chosen("answer-unknown", {"choices": ["h", "i"], "answer": "z"}, "E333"),
    chosen("answer-missing", {"choices": ["h", "i"]}, "E202"), chosen("more-of-them", {"choices": ["h", "i", "j"], "answer": 2}, exit_code=0),
]


def multilabel(name, labels, *words, exit_code=65):
    """Rows with lists of labels, and an odd one."""
    good = ({"text": "a", "labels": ["x"]}, {"text": "b", "labels": ["y"]}, {"text": "c", "labels": ["x", "y"]})
    return OddFile(f"labels-{name}.jsonl", json_lines(*good, {"text": "d", "labels": labels}).encode(), exit_code, words,
                   task="multilabel-classification")


LISTS = [
    multilabel("object", {"x": 1}, ":4:2", "E306"), multilabel("nested", [["x"]], "E306"), multilabel("none", [], exit_code=0),
    multilabel("cut-json", '["x', "E306"), multilabel("new-one", ["z"], "W206", exit_code=0),
    multilabel("twice", ["x", "x"], exit_code=0), multilabel("null", None, exit_code=0),
]
WRITING = [
    read("pairs.tsv", "source\ttarget\n" + "a b c\td e\n" * 2 + "f\tg\n", [{"source": "a b c", "target": "d e"}],
         task="text-to-text"),
    read("target-is-source.csv", "source,target\na,a\nb,c\n", [], "W230", task="text-to-text"),
    refused("empty-source.csv", "source,target\na,b\n,c\n", 65, "empty-source.csv:3:1", "E201", task="text-to-text"),
    refused("empty-target.csv", "source,target\na,b\nc,\n", 65, "empty-target.csv:3:2", "E202", task="text-to-text"),
    read("prompts.jsonl", json_lines({"prompt": "a", "response": "b"}, {"prompt": "c", "response": "d"}),
         [{"prompt": "a", "response": "b"}], count=2),
    refused("empty-response.jsonl", json_lines({"prompt": "a", "response": "b"}, {"prompt": "c", "response": ""}), 65,
            ":2:2", "E202"),
    read("prose.txt", "The tea was good. We sat by the river.\n\nThen it rained.\n", [], "text",
         task="masked-language-model"),
    refused("one-word.txt", "word\n", 65, task="next-sentence"),
]
FILES = [*LABELS, *TEXTS, *NUMBERS, *TAGS, *QUESTIONS, *CHOICES, *LISTS, *WRITING]
