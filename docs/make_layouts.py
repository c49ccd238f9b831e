"""Writes docs/layouts.md: what `headstart check` says of thirty layouts, by running it: python docs/make_layouts.py"""

import gzip
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from headstart.contract import Task
from headstart.errors import UserError
from headstart.models.loading import default_model
from headstart.preparation import tokenization

sys.path.insert(0, str(Path(__file__).parent))  # the tests run this file from elsewhere

from sample_files import csv, lines, parquet, printed

PAGE = Path(__file__).parent / "layouts.md"
INTRODUCTION = """# Layouts of files

Made by `docs/make_layouts.py`, which writes each file, runs `headstart check` on it and keeps what it says; the tests hold the page to
be current. Each answer names the format that was found, the task and why, the columns that are used and for what, those that are not,
one row as the model reads it, and what is wrong or suspicious. `finetune` says the same before it trains, and `data.json` keeps it.

The model is the default of each task where it comes with a package (`headstart[minilm]`); the others would have to be named with
`--model`. The files are small, so labels are rare in all of them: that warning is left out of what is shown below.
"""
TICKETS = [("The card was charged twice this month", "billing"), ("I cannot log in since the update", "access"),
           ("Please refund the second payment", "billing"), ("The password mail never arrives", "access"),
           ("Why is the invoice higher than agreed?", "billing"), ("The page says my account is locked", "access")]
TALKS = [("How long does the battery last?", "About nine hours of reading, or four of video."),
         ("Can I swim with the watch?", "Yes, down to ten metres; rinse it afterwards.")]
PASSAGE = "The ferry leaves at nine. It reaches the island after forty minutes, when the sea is calm."
SHOWN_LINES, SHOWN_CHARACTERS = 4, 150  # of a file


@dataclass(frozen=True)
class Layout:
    """One section: its title, the files by name, what is typed after `headstart check`, and why it reads as it does."""

    title: str
    files: Mapping[str, str | bytes]
    arguments: str
    note: str


def answered(question: str, answer: str, number: int) -> dict[str, object]:
    """A question of a SQuAD file."""
    return {"id": f"ferry-{number}", "question": question,
            "answers": [{"text": answer, "answer_start": PASSAGE.index(answer)}]}


def text_layouts() -> list[Layout]:
    """Texts with labels or numbers."""
    texts, labels = [text for text, _ in TICKETS], [label for _, label in TICKETS]
    return [
        Layout("A text and a label", {"tickets.csv": csv(("text", "label"), *TICKETS)}, "tickets.csv",
               "The plainest layout. Quotes, delimiters and line ends inside quoted fields are read as Python's `csv` writes them."),
        Layout("Among other columns", {"export.csv": csv(("id", "created", "text", "label", "agent"), *(
            (1000 + n, f"2024-05-0{n + 1}", *ticket, "mk") for n, ticket in enumerate(TICKETS)))}, "export.csv",
            "Identifiers, dates and columns of one value are no targets; all that is not used is named."),
        Layout("Columns of other names", {"umfrage.csv": csv(("Kundentext", "Bereich"), *TICKETS, delimiter=";")},
               "umfrage.csv --text Kundentext --label Bereich", "A column flag names the user's own column."),
        Layout("No header", {"tickets.tsv": csv(*TICKETS, delimiter="\t")},
               "tickets.tsv --no-header --text 0 --label 1", "Without a header the columns are called 0, 1, 2 …"),
        Layout("Two texts a row", {"pairs.csv": csv(("sentence1", "sentence2", "label"), *(
            (first, second, ("same", "other")[n % 2]) for n, ((first, _), (second, _)) in enumerate(
                pairwise(TICKETS))))}, "pairs.csv", "A pair is read with a separator between its texts."),
        Layout("Scores with decimal points", {"scores.csv": csv(("text", "score"), *(
            (text, n + 0.5) for n, text in enumerate(texts)))}, "scores.csv --text text --target score",
            "Numbers are a regression."),
        Layout("Scores with decimal commas", {"noten.csv": csv(("text", "note"), *(
            (text, f"{n},5") for n, text in enumerate(texts)), delimiter=";")}, "noten.csv --text text --target note",
            "A decimal comma is refused, not guessed: 1,500 may be one and a half, or fifteen hundred."),
        Layout("A folder of labels", {f"mails/{label}/{n}.txt": text for n, (text, label) in enumerate(TICKETS)}, "mails",
               "A folder for each label, a file for each text."),
        Layout("A folder of splits", {f"parts/{name}.csv": csv(("text", "label"), *rows) for name, rows in (
            ("train", TICKETS), ("dev", TICKETS[:1]))}, "parts", "Files called train, dev and test are the splits; a text of two is a leak."),
        Layout("JSON lines", {"tickets.jsonl": lines(*({"text": text, "label": label} for text, label in TICKETS))},
               "tickets.jsonl", "An object a line."),
        Layout("Objects in objects", {"desk.jsonl": lines(*({"ticket": {"body": text, "lang": "en"}, "queue": label}
                                                           for text, label in TICKETS))},
               "desk.jsonl --text ticket.body --label queue", "A dotted name goes into an object; what else is in it is named as unused."),
        Layout("pandas, orient=\"split\"", {"frame.json": json.dumps({"columns": ["text", "label"], "index": list(range(6)),
                                                                    "data": [list(row) for row in TICKETS]})},
               "frame.json", "The other orients are read as well."),
        Layout("Parquet", {"tickets.parquet": parquet({"text": texts, "label": labels})}, "tickets.parquet",
               "Places are rows, as there are no lines."),
        Layout("Compressed", {"tickets.csv.gz": gzip.compress(csv(("text", "label"), *TICKETS).encode(), mtime=0)},
               "tickets.csv.gz", "Also .zip, .bz2, .xz and .zst."),
        Layout("fastText", {"tickets.txt": "".join(f"__label__{label} {text}\n" for text, label in TICKETS)}, "tickets.txt",
               "A label stands before each text."),
        Layout("Several labels in one cell", {"topics.csv": csv(("text", "labels"), *(
            (text, f"{label}|{('urgent', 'calm')[n % 2]}") for n, (text, label) in enumerate(TICKETS)))},
            "topics.csv --task multilabel-classification", "One delimiter holds for the whole column."),
        Layout("A column for each label", {"flags.csv": csv(("text", "billing", "access"), *(
            (text, int(label == "billing"), int(label == "access")) for text, label in TICKETS))},
            "flags.csv --text text --labels billing,access", "The names of the columns with 1 are the labels."),
    ]


def other_layouts() -> list[Layout]:
    """Tags, questions, choices, pairs of texts, prompts, and what goes wrong."""
    tagged = [("Anna", "B-PER"), ("moved", "O"), ("to", "O"), ("Oslo", "B-LOC")], [("Ben", "B-PER"), ("stayed", "O")]
    return [
        Layout("CoNLL", {"names.conll": "\n".join("".join(f"{word} {tag}\n" for word, tag in rows) for rows in tagged) + "\n"},
               "names.conll", "A word and its tag a line, a blank line between sentences."),
        Layout("A word a row", {"ner.csv": csv(("Sentence #", "Word", "POS", "Tag"), *(
            (f"Sentence: {n}" if place == 0 else "", word, "X", tag) for n, rows in enumerate(tagged, 1)
            for place, (word, tag) in enumerate(rows)))}, "ner.csv", "Rows become sentences; the columns that this loses are named."),
        Layout("Doccano", {"doccano.jsonl": lines({"text": "Anna moved to Oslo", "label": [[0, 4, "PER"], [14, 18, "LOC"]]},
                                                  {"text": "Ben stayed", "label": [[0, 3, "PER"]]})}, "doccano.jsonl",
               "Spans by characters."),
        Layout("Prodigy", {"prodigy.jsonl": lines(
            {"text": "Anna moved to Oslo", "spans": [{"start": 0, "end": 4, "label": "PER"}], "answer": "accept"},
            {"text": "Ben stayed", "spans": [{"start": 0, "end": 3, "label": "PER"}], "answer": "accept"},
            {"text": "Nobody came", "spans": [{"start": 0, "end": 6, "label": "PER"}], "answer": "reject"})}, "prodigy.jsonl",
            "What an annotator rejected is left out and counted."),
        Layout("Label Studio", {"studio.json": json.dumps([
            {"id": n, "data": {"text": text}, "annotations": [{"result": [
                {"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [label]}}]}]}
            for n, (text, label) in enumerate(TICKETS)])}, "studio.json", "Choices are labels, regions are spans."),
        Layout("SQuAD", {"ferry.json": json.dumps({"data": [{"title": "Ferry", "paragraphs": [{"context": PASSAGE, "qas": [
            answered("When does it leave?", "at nine", 1), answered("How long does it take?", "forty minutes", 2)]}]}]})},
            "ferry.json", "A start that is not at its answer is mended or refused."),
        Layout("Questions and answers", {"faq.csv": csv(("question", "answer"), *((f'"{q}"', f'"{a}"') for q, a in TALKS))},
               "faq.csv --task retrieval", "For search: the answer is the passage that is to be found."),
        Layout("Multiple choice", {"quiz.jsonl": lines(
            {"question": "What floats?", "choices": ["iron", "cork", "sand"], "answer": "B"},
            {"question": "What rusts?", "choices": ["iron", "cork", "sand"], "answer": "A"},
            {"question": "What is dug?", "choices": ["iron", "cork", "sand"], "answer": "C"})},
            "quiz.jsonl --task multiple-choice --context question", "Answers as letters, numbers or texts; one reading for the whole column."),
        Layout("Translations", {"wmt.jsonl": lines({"translation": {"en": "good morning", "de": "guten Morgen"}},
                                                   {"translation": {"en": "thank you", "de": "danke"}})}, "wmt.jsonl",
               "The first language is the source."),
        Layout("Sources and targets", {"notes.tsv": csv(("source", "target"), *TALKS, delimiter="\t")}, "notes.tsv --task summarization",
               "Long texts and their short forms, or any text and what becomes of it."),
        Layout("Instructions", {"alpaca.json": json.dumps([
            {"instruction": "Answer the customer.", "input": q, "output": a} for q, a in TALKS])}, "alpaca.json",
            "Instruction and input are both in the prompt."),
        Layout("Conversations", {"chats.jsonl": lines(*({"messages": [{"role": "user", "content": q},
                                                                     {"role": "assistant", "content": a}]} for q, a in TALKS))},
               "chats.jsonl", "Roles and turns."),
        Layout("Prompts", {"prompts.jsonl": lines(*({"prompt": q, "completion": a} for q, a in TALKS))}, "prompts.jsonl",
               "What is generated is learned, the prompt is only read."),
        Layout("Running text", {"diary.txt": f"{PASSAGE} We sat on deck.\n\n{PASSAGE} It rained later.\n"},
               "diary.txt --task masked-language-model", "Running text, or a text a line: which it is, and why, is said."),
        Layout("Another encoding", {"mails.csv": csv(("text", "label"), *((f"{text} – schöne Grüße", label)
                                                                        for text, label in TICKETS)).encode("cp1252")}, "mails.csv",
               "It is found, told, and asked about where two encodings would give different texts."),
        Layout("A fault", {"torn.csv": csv(("text", "label"), *TICKETS, ("Late, but fine", "billing"), ("", "access"))}, "torn.csv",
               "One pass finds all faults, each with its line and column. The exit code is 65."),
        Layout("A tie", {"two.csv": csv(("text", "mood", "desk"), *((text, ("calm", "angry")[n // 2 % 2], label)
                                                                     for n, (text, label) in enumerate(TICKETS)))}, "two.csv",
               "Where two columns fit equally well, the user is asked. The exit code is 2."),
    ]


def without_rare_labels(text: str) -> str:
    """What was printed, without the findings of labels with few rows."""
    shown: list[str] = []
    is_left_out = False
    for line in text.splitlines():
        is_left_out = "[W206]" in line or "[W205]" in line or (is_left_out and line.startswith("  "))
        if not is_left_out:
            shown.append(line)
    return "\n".join(shown)


def shown_file(name: str, content: str | bytes) -> str:
    """The beginning of a file; "" for one that is not a text."""
    try:
        text = content if isinstance(content, str) else content.decode("cp1252" if name.endswith(".csv") else "utf-8")
    except UnicodeDecodeError:
        return ""
    rows = text.splitlines()
    cut = [row if len(row) <= SHOWN_CHARACTERS else f"{row[:SHOWN_CHARACTERS]} …" for row in rows[:SHOWN_LINES]]
    return "\n".join([*cut, *(["…"] if len(rows) > SHOWN_LINES else [])]).replace("\t", "    ")


def section(layout: Layout) -> str:
    """A layout's part of the page."""
    names = list(layout.files)
    excerpt = shown_file(names[0], layout.files[names[0]])
    heading = f"`{names[0]}`" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    block = f"\n{heading}:\n\n```\n{excerpt}\n```\n" if excerpt else f"\n{heading}\n"
    return (f"## {layout.title}\n{block}\n{layout.note}\n\n```\n$ headstart check {layout.arguments}\n"
            f"{without_rare_labels(printed(layout.files, ['check', *layout.arguments.split()]))}\n```\n")


def packaged_default(choose: Callable[..., default_model.DefaultModel]) -> Callable[..., default_model.DefaultModel]:
    """The default models that come with a package; what lies in a cache of this machine is not on the page."""
    def choose_packaged(task: type[Task] | Task) -> default_model.DefaultModel:
        model = choose(task)
        if not model.reference.startswith(default_model.PACKAGE):
            raise UserError(f"{model.reference} is no package.")
        return model
    return choose_packaged


def page() -> str:
    """docs/layouts.md."""
    chosen = tokenization.default_model
    tokenization.default_model = packaged_default(default_model.default_model)
    try:
        return "\n".join([INTRODUCTION, *map(section, [*text_layouts(), *other_layouts()])])
    finally:
        tokenization.default_model = chosen


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    PAGE.write_text(page(), encoding="utf-8")
