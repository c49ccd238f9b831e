"""A small example for each finding code: files, and the command that says the code. docs/make_findings.py runs them."""

import bz2
import gzip
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from sample_files import Content, csv, lines, parquet

TICKETS = [("The card was charged twice", "billing"), ("I cannot log in", "access"), ("Please refund the payment", "billing"),
           ("The password mail is late", "access")]
PASSAGE = "The ferry leaves at nine."


@dataclass(frozen=True)
class Example:
    """The files by name, what is typed after `headstart`, a sentence for a file too large to show, and its encoding."""

    code: str
    files: Mapping[str, Content]
    command: str = ""  # `check` of the first file where it is not given
    note: str = ""
    encoding: str = "utf-8"

    @property
    def words(self) -> str:
        """What is typed after `headstart`."""
        return self.command or f"check {next(iter(self.files))}"


def table(*rows: tuple[object, ...]) -> str:
    """text,label with some rows more."""
    return csv(("text", "label"), *TICKETS, *rows)


def zipped(files: Mapping[str, str]) -> bytes:
    """A zip of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def workbook(rows: list[list[object]], *, formula: bool = False, error: bool = False) -> bytes:
    """An .xlsx of one sheet; with a formula that was never computed, or a cell that holds an error."""
    import openpyxl

    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if error:
        book.active.cell(3, 2).value, book.active.cell(3, 2).data_type = "#N/A", "e"
    if formula:
        book.active.cell(3, 2).value = '=IF(LEN(A3)>3,"billing","access")'
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


SHEET = [["text", "label"], *map(list, TICKETS)]
FILES = [
    Example("E101", {"empty.csv": ""}),
    Example("E102", {"header.csv": "text,label\n"}),
    Example("E103", {"mixed.csv": table(("Grüße aus Köln", "access")).encode() + b"caf\xe9,billing\n"}),
    Example("E104", {"comma.csv": table(("Late, but fine", "billing"))}),
    Example("E105", {"quote.csv": table() + '"The page never loads,access\nIt is slow,access\n'}),
    Example("E106", {"nul.csv": table(("The \0 page", "access")).encode()}),
    Example("E107", {"twice.csv": csv(("text", "label", "label"), ("Late again", "a", "b"))}),
    Example("E108", {"headless.csv": csv(*((n, n % 2 + 20) for n in range(12)))}),
    Example("E109", {"commas.csv": table()}, "check commas.csv --set data.delimiter=semicolon"),
    Example("E110", {"rows.jsonl": lines({"text": "It is late", "label": "a"}) + "not json\n"}),
    Example("E111", {"cut.csv": table().removesuffix("access\n").rstrip(",")}),
    Example("E112", {"page.csv": "<!doctype html><html><body>Not found</body></html>\n"}),
    Example("E113", {"cut.csv.gz": gzip.compress(table().encode() * 50, mtime=0)[:-30]}),
    Example("E114", {"two.zip": zipped({"a.csv": table(), "b.csv": table()})}),
    Example("E115", {"names.conll": "Anna B-PER\nmoved O\nto O O\nOslo B-LOC\n"}),
    Example("E116", {"names.conll": "Anna\tB-PER\nmoved\tO\nto O\nOslo\tB-LOC\n"}),
    Example("E117", {"names.conll": "Anna\tB-PER\nmoved\tO\n\tO\nOslo\tB-LOC\n"}),
    Example("E118", {"train.source": "good morning\nthank you\n", "train.target": "guten Morgen\n"},
            "check train.source --task translation"),
    Example("E119", {"book.txt": lambda: b"word " * (2**20 * 64 // 5 + 2**20)}, "index book.txt --to book-index",
            "A document of more than 64 MB."),
    Example("E120", {"a.csv": b"text,label\n\xe9,1\n\xf3,0\n"}, encoding="cp1252"),
    Example("E121", {"big.csv.bz2": bz2.compress(table().encode() * 100)}, "check big.csv.bz2 --set data.max_bytes=1000"),
    Example("E122", {"cities.csv": "date;name,city\n2;a,b\n3;c,d\n"}),
    Example("E123", {"behind.csv": table() + '"It is" late,billing\nIt is slow,access\n'}),
    Example("E124", {"one-line.csv": lambda: b"text,label\n" + b"word " * (2**26 // 5 + 9) + b",billing\n"},
            note="A line of more than 67 million characters."),
    Example("E125", {"half.jsonl": lines(*({"text": text, "label": label} for text, label in TICKETS)) +
                     '{"text": "a cut smile \\ud83d", "label": "billing"}\n'}),
    Example("E126", {"returns.csv": b"text,label\nThe page\rnever loads,access\nToo dear,billing\r\nIt is slow,access\n"}),
    Example("E127", {"errors.xlsx": partial(workbook, SHEET, error=True)}),
    Example("E128", {"locked.xlsx": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 999
                     + "EncryptedPackage".encode("utf-16-le") + b"\0" * 999}),
    Example("E130", {"classes.parquet": partial(parquet, {"text": ["late", "slow"], "label": [7, 0]},
                                                  class_names=["billing", "access"])}),
    Example("E131", {"data/train-00000-of-00002.parquet": partial(parquet, {"text": ["late", "slow"], "label": ["a", "b"]}),
                     "data/train-00001-of-00002.parquet": partial(parquet, {"other": ["x"]})}, "check data"),
    Example("E132", {"joined.csv": table() + table()}),
    Example("N101", {"wide.csv": table().encode("utf-16-le")}, encoding="utf-16-le"),
    Example("N103", {"headless.csv": csv(*TICKETS)}, "check headless.csv --no-header --text 0 --label 1"),
    Example("N104", {"inches.tsv": csv(("text", "label"), ('"quoted" and more', "billing"), ("a pen", "access"), delimiter="\t")}),
    Example("N105", {"rows.csv": lines(*({"text": text, "label": label} for text, label in TICKETS))}),
    Example("N106", {"prodigy.jsonl": lines(
        {"text": "Anna moved to Oslo", "spans": [{"start": 0, "end": 4, "label": "PER"}], "answer": "accept"},
        {"text": "Ben stayed", "spans": [{"start": 0, "end": 3, "label": "PER"}], "answer": "accept"},
        {"text": "Nobody came", "spans": [], "answer": "reject"})}),
    Example("N107", {"blank.csv": table().replace("\nI ", "\n\nI ")}),
    Example("N108", {"escapes.csv": 'text,label\n"he said \\"rose\\" and left",yes\n"a, b",no\nplain,yes\n'}),
    Example("N109", {"ends.csv": "text,label\nThe page is slow,access,\nToo dear,billing,\n"}),
    Example("N110", {"blank.csv": table() + '"It is late, again" ,billing\n'}),
    Example("N111", {"bytes.parquet": partial(parquet, {"text": ["late", "slow"], "label": ["a", "b"], "picture": [b"\1", b"\2"]})}),
    Example("N112", {"twice.parquet": partial(parquet, {"1": ["late", "slow"], "2": ["a", "b"], "3": ["x", "y"]},
                                                names=["text", "label", "label"])}, "check twice.parquet --text text --label 'label (column 2)'"),
    Example("N113", {"title.xlsx": partial(workbook, [["Tickets of May", None], [None, None], *SHEET])}),
    Example("N114", {"de.conllu": "1-2\tzum\t_\n1\tzu\tO\n2\tdem\tO\n3\tRhein\tB-LOC\n\n1\tAnna\tB-PER\n2\tkam\tO\n"}),
    Example("W101", {"ids.jsonl": lines({"text": "late", "label": "a"}, {"text": 3, "label": "b"}, {"text": "slow", "label": "b"})}),
    Example("W102", {"cp.csv": "text,label\nżółw,a\nkoń,b\n".encode("cp1250")}, encoding="cp1250"),
    Example("W103", {"mark.csv": table().encode() + b"\xef\xbb\xbfIt is late,billing\n"}),
    Example("W104", {"keys.jsonl": '{"text": "late", "label": "a"}\n{"text": "slow", "label": "b", "label": "a"}\n{"text": "dear", "label": "b"}\n'}),
    Example("W105", {"ends.csv": table().encode() + b"It is late,billing\r\n"}),
    Example("W106", {"formula.xlsx": partial(workbook, SHEET, formula=True)}),
]
TASKS = [
    Example("E201", {"blank.csv": table(("", "billing"))}),
    Example("E202", {"unlabelled.csv": table(("It is late", ""))}),
    Example("E203", {"one.csv": csv(("text", "label"), ("late", "billing"), ("slow", "billing"))}, "check one.csv --task text-classification"),
    Example("E204", {"tickets.csv": table()}, "check tickets.csv --task question-answering"),
    Example("E301", {"tags.jsonl": lines({"tokens": ["Anna", "left"], "tags": ["B-PER"]}, {"tokens": ["Ben"], "tags": ["B-PER"]})}),
    Example("E302", {"tags.jsonl": lines({"tokens": ["Anna", "left"], "tags": ["B-PER", "7"]}, {"tokens": ["Ben"], "tags": ["B-PER"]})}),
    Example("E303", {"spans.jsonl": lines({"text": "Anna left", "spans": [{"start": 0, "end": 40, "type": "PER"}]},
                                          {"text": "Ben left", "spans": [{"start": 0, "end": 3, "type": "PER"}]})}),
    Example("E304", {"spans.jsonl": lines({"text": "Anna Berg left", "spans": [{"start": 0, "end": 9, "type": "PER"},
                                                                               {"start": 5, "end": 9, "type": "LOC"}]},
                                          {"text": "Ben left", "spans": [{"start": 0, "end": 3, "type": "PER"}]})}),
    Example("E305", {"stars.csv": csv(("text", "stars"), ("fine", 4.5), ("poor", 1.5), ("odd", "many"))},
            "check stars.csv --task regression --target stars"),
    Example("E306", {"flags.csv": csv(("text", "billing", "access"), ("late", 1, 0), ("slow", 0, 1), ("dear", 1, "perhaps"))},
            "check flags.csv --text text --labels billing,access"),
    Example("E307", {"tags.jsonl": lines({"tokens": ["Anna", "Berg", "left"], "tags": ["B-PER", "E-LOC", "O"]},
                                         {"tokens": ["Ben"], "tags": ["S-PER"]})}),
    Example("E320", {"qa.csv": csv(("question", "passage", "answer"), ("When?", PASSAGE, "at noon"), ("What leaves?", PASSAGE, "ferry"))}),
    Example("E321", {"qa.csv": csv(("question", "passage", "answer", "start"), ("When?", PASSAGE, "nine", "soon"),
                                   ("What leaves?", PASSAGE, "ferry", 4))}),
    Example("E324", {"qa.jsonl": lines({"question": "When?", "passage": PASSAGE, "answer": "nine", "impossible": True},
                                       {"question": "What leaves?", "passage": PASSAGE, "answer": "ferry", "impossible": False})}),
    Example("E325", {"qa.jsonl": lines({"question": "When?", "passage": PASSAGE, "answer": ["nine", "at nine"], "start": [20]},
                                       {"question": "What leaves?", "passage": PASSAGE, "answer": ["ferry"], "start": [4]})}),
    Example("E326", {"qa.jsonl": lines({"question": "When?", "passage": PASSAGE, "answer": 9},
                                       {"question": "What leaves?", "passage": PASSAGE, "answer": "ferry"})}),
    Example("E330", {"quiz.jsonl": lines({"context": "What floats?", "choices": ["iron", "cork"], "answer": "cork"},
                                         {"context": "What rusts?", "choices": "iron", "answer": "iron"})}, "check quiz.jsonl --task multiple-choice"),
    Example("E331", {"quiz.jsonl": lines({"context": "What floats?", "choices": ["iron", "cork"], "answer": 1},
                                         {"context": "What rusts?", "choices": ["iron"], "answer": 0})}, "check quiz.jsonl --task multiple-choice"),
    Example("E332", {"quiz.jsonl": lines({"context": "What floats?", "choices": ["iron", "cork"], "answer": 1},
                                         {"context": "What rusts?", "choices": ["iron", ""], "answer": 0})}, "check quiz.jsonl --task multiple-choice"),
    Example("E333", {"quiz.jsonl": lines({"context": "What floats?", "choices": ["iron", "cork"], "answer": "cork"},
                                         {"context": "What rusts?", "choices": ["iron", "cork"], "answer": "sand"})}, "check quiz.jsonl --task multiple-choice"),
    Example("E335", {"predicted.csv": csv(("id", "prediction"), (1, "billing")), "gold.csv": csv(("id", "text", "label"), (1, "late", "billing"), (2, "slow", "access"))},
            "evaluate --predictions predicted.csv gold.csv --task text-classification"),
    Example("E336", {"predicted.csv": csv(("id", "prediction"), (1, "billing"), (2, "access"), (3, "access")),
                     "gold.csv": csv(("id", "text", "label"), (1, "late", "billing"), (2, "slow", "access"))},
            "evaluate --predictions predicted.csv gold.csv --task text-classification"),
    Example("E337", {"predicted.csv": csv(("text", "prediction"), ("late", "billing"), ("fast", "access")),
                     "gold.csv": csv(("text", "label"), ("late", "billing"), ("slow", "access"))},
            "evaluate --predictions predicted.csv gold.csv --task text-classification"),
    Example("E338", {"chats.jsonl": lines({"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}]},
                                          {"messages": [{"role": "user", "content": "Hello"}, {"role": "robot", "content": "Beep"}]})}),
    Example("E340", {"lines.txt": "One sentence only\n"}, "check lines.txt --task next-sentence"),
    Example("E341", {"story.txt": "It rained. We left.\nThe bus was late.\n"}, "check story.txt --task next-sentence"),
    Example("N340", {"story.txt": "".join(f"It rained on day {n}. We left at noon.\n" for n in range(20))}, "check story.txt --task next-sentence"),
    Example("E250", {"ja.csv": csv(("text", "label"), *((f"今雨今雨今雨 {n}", "ab"[n % 2]) for n in range(6)))}, "check ja.csv --model MODEL"),
    Example("E251", {"hidden.csv": csv(("text", "label"), *(("\u200b" * (n + 1), "ab"[n % 2]) for n in range(6)))}, "check hidden.csv --model MODEL"),
    Example("E252", {"ids.csv": csv(("text", "label"), *((f"\u200b\u200b\u200b\u200b\u200b\u200b\u200b\u200b\u200b {n}" + "\u200b" * 9, "ab"[n % 2]) for n in range(6)))}, "check ids.csv --model MODEL"),
    Example("W250", {"some.csv": csv(("text", "label"), *((f"The page is slow on day {n}", "ab"[n % 2]) for n in range(9)), ("東京は今日も雨", "a"))}, "check some.csv --model MODEL"),
    Example("W251", {"some.csv": csv(("text", "label"), *((f"The page is slow on day {n}", "ab"[n % 2]) for n in range(9)), ("\u200b", "a"))}, "check some.csv --model MODEL"),
    Example("W252", {"some.csv": csv(("text", "label"), *((f"The page is slow on day {n}", "ab"[n % 2]) for n in range(9)), ("slow " + "\u200b" * 99, "a"))}, "check some.csv --model MODEL"),
    Example("N253", {"spelled.csv": table(("What does [SEP] mean?", "access"))}),
    Example("W201", {"train.csv": table(), "test.csv": csv(("text", "label"), TICKETS[0])}, "check train.csv --test test.csv"),
    Example("W202", {"rows.csv": table(TICKETS[0])}),
    Example("W203", {"rows.csv": table((TICKETS[0][0], "access"))}),
    Example("W204", {"rows.csv": table(("It is late", "Billing"))}),
    Example("W205", {"rows.csv": table(("It is late", "delivery"))}),
    Example("W206", {"rows.csv": table()}),
    Example("W207", {"train.csv": table(), "dev.csv": csv(("text", "label"), ("It is late", "delivery"))}, "check train.csv --dev dev.csv"),
    Example("W208", {"rows.csv": table(("the card was charged twice!", "billing"))}),
    Example("W209", {"rows.csv": csv(("text", "label"), *(row for n in range(12) for row in (
        (f"refund money card {n}", "refund"), (f"card money refund {n}", "money_back"), (f"tiger in the jungle {n}", "animals"))))}),
    Example("W210", {"names.conll": "Anna I-PER\nleft O\n\nBen B-PER\nsaw O\nOslo B-LOC\n\nOslo B-LOC\nis O\nfar O\n"}),
    Example("W211", {"spans.jsonl": lines({"text": "Anna left", "spans": [{"start": 0, "end": 3, "type": "PER"}]},
                                          {"text": "Ben left", "spans": [{"start": 0, "end": 3, "type": "PER"}]})}),
    Example("W212", {"rows.csv": table(("nan", "billing"))}),
    Example("W213", {"rows.csv": csv(("text", "label"), *((f"topic: {label} letter {n}", label) for n in range(12) for label in ("billing", "access")))}),
    Example("W220", {"qa.csv": csv(("question", "passage", "answer", "start"), ("When?", PASSAGE, "nine", 3), ("What leaves?", PASSAGE, "ferry", 4))}),
    Example("W221", {"qa.csv": csv(("question", "passage", "answer"), ("Who sings?", "The choir and the choir master sing.", "choir"),
                                   ("What leaves?", PASSAGE, "ferry"))}),
    Example("W222", {"qa.csv": csv(("question", "passage", "answer"), ("When?", PASSAGE, "AT NINE"), ("What leaves?", PASSAGE, "ferry"))}),
    Example("W223", {"qa.csv": csv(("id", "question", "passage", "answer"), (1, "When?", PASSAGE, "nine"), (1, "What leaves?", PASSAGE, "ferry"))}),
    Example("W224", {"mixed.json": json.dumps({"data": [{"title": "Ferry", "paragraphs": [{"context": PASSAGE, "qas": [
        {"id": "1", "question": "When?", "answers": [{"text": "nine", "answer_start": 20}]},
        {"id": "2", "question": "How high?", "is_impossible": True, "answers": []}]}]}]})}),
    Example("W230", {"pairs.csv": csv(("source", "target"), ("good day", "good day"), ("2 May", "2024-05-02"))}, "check pairs.csv --task text-to-text"),
    Example("W240", {"faq.csv": csv(("question", "answer"), ("When does it leave?", "It leaves at nine."), ("How far is it?", "An hour."))},
            "check faq.csv --task long-answer"),
    Example("N210", {"names.conll": "Anna B-PER\nBerg E-PER\nleft O\n\nBen S-PER\nsaw O\nOslo S-LOC\n"}),
    Example("N211", {"names.conll": "Anna B\nBerg I\nleft O\n\nBen B\nsaw O\nOslo B\n"}),
    Example("N212", {"quiz.jsonl": lines({"context": "What floats?", "choices": ["iron", "cork"], "answer": "B"},
                                         {"context": "What rusts?", "choices": ["iron", "cork"], "answer": "A"})}, "check quiz.jsonl --task multiple-choice"),
    Example("N213", {"topics.csv": csv(("text", "labels"), ("late", "billing;urgent"), ("slow", "access;calm"), ("dear", "billing"))},
            "check topics.csv --task multilabel-classification"),
    Example("N214", {"chats.jsonl": lines({"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}]},
                                          {"messages": [{"role": "user", "content": "Bye"}, {"role": "assistant", "content": "See you"}]})}),
    Example("N215", {"topics.csv": csv(("text", "labels"), ("late", "billing;urgent"), ("slow", "access;calm"), ("dear", ""))},
            "check topics.csv --task multilabel-classification"),
    Example("N220", {"squad.json": json.dumps({"version": "v2.0", "data": [{"title": "Ferry", "paragraphs": [{"context": PASSAGE, "qas": [
        {"id": "1", "question": "When?", "is_impossible": False, "answers": [{"text": "nine", "answer_start": 20}]},
        {"id": "2", "question": "How high?", "is_impossible": True, "answers": []}]}]}]})}),
]
EXAMPLES = [*FILES, *TASKS]
