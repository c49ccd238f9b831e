"""Documents of every kind become passages with their places; nothing is lost in silence."""

import gzip
import sys
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import DataError, Exit, UserError
from headstart.retrieval.documents.chunking import STRETCH, WORD, cut, subject
from headstart.retrieval.documents.near_duplicates import folds, likeness, shingles, signature
from headstart.retrieval.documents.walk import Account, Document, documents
from headstart.settings import Data

LONG = " ".join(f"Sentence number {number} tells of tea and of the river bank." for number in range(60))
PAGE = """<html><head><title>Tea &amp; cake</title><script>var x = "<p>never</p>";</script><style>p {}</style></head>
<body><h1>Tea</h1><p>Caf&eacute; tea is <b>old</b>, it   is good.</p><ul><li>one<li>two</ul><h2>Green <i>tea</i></h2><p>It is green.</p></body></html>"""


def held(path, **more):
    account = Account()
    return {one.id: one for one in documents(str(path), account=account, **more)}, account


def test_a_folder_is_read_in_order_and_all_below_it(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.md").write_text("# Care\nWater it.\n", encoding="utf-8")
    (tmp_path / "a.txt").write_text("Plain words.", encoding="utf-8")
    (tmp_path / "c.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "d.txt.gz").write_bytes(gzip.compress(b"Packed words."))
    (tmp_path / "e.jsonl").write_text('{"id": "x", "title": "Tea", "answer": "Drink it."}\n', encoding="utf-8")
    (tmp_path / ".hidden.txt").write_text("Never.", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    found, account = held(tmp_path)
    assert list(found) == ["a.txt", "c.html", "d.txt.gz", "e.jsonl#x", "b/notes.md"]  # a folder's files before the folders in it
    assert found["d.txt.gz"].text == "Packed words." and found["e.jsonl#x"].title == "Tea" and found["b/notes.md"].title == "Care"
    assert account.reasons == {"of another kind": 1} and account.left_out[0][0] == "picture.png"
    assert "left out 1" in "\n".join(account.words())


def test_a_page_is_its_words_without_scripts(tmp_path):
    (tmp_path / "tea.html").write_text(PAGE, encoding="utf-8")
    (page,) = documents(str(tmp_path / "tea.html"))
    assert page.title == "Tea & cake" and "never" not in page.text and "Café tea is old, it is good." in page.text
    assert [(page.text[begin:begin + 3], name) for begin, name in page.sections] == [("Tea", "Tea"), ("Gre", "Tea > Green tea")]
    assert [one.section for one in cut(page)] == ["Tea", "Tea > Green tea"]


def test_a_page_may_name_its_own_encoding(tmp_path):
    (tmp_path / "old.html").write_bytes('<meta charset="iso-8859-1"><p>Café</p>'.encode("latin-1"))
    assert next(documents(str(tmp_path / "old.html"))).text == "Café"


def test_headings_of_markdown_are_sections_but_not_those_in_code(tmp_path):
    text = "# Tea\n\n## Green\nIt is green.\n```sh\n# no heading\n```\n\nBlack\n-----\nIt is black.\n"
    (tmp_path / "tea.md").write_text(text, encoding="utf-8")
    (page,) = documents(str(tmp_path / "tea.md"))
    assert page.text == text and page.sections == ((0, "Tea"), (7, "Tea > Green"), (text.index("Black"), "Tea > Black"))
    first, second = cut(page)
    assert first.text.startswith("# Tea") and first.section == "Tea > Green" and second.section == "Tea > Black"
    assert subject(second) == "Tea\n" + second.text and subject(second, titles=False) == second.text


def test_passages_are_whole_sentences_with_an_overlap():
    made = cut(Document("d", "t", LONG), words=50, overlap=12)
    for one, after in pairwise(made):
        assert one.text == LONG[one.begin:one.end] and one.text.endswith(".") and one.text[0] == "S"
        assert len(one.text.split()) <= 50 and one.begin < after.begin < one.end < after.end
        assert 0 < len(LONG[after.begin:one.end].split()) <= 12
    assert made[0].begin == 0 and made[-1].end == len(LONG)
    assert all(one.end < after.begin for one, after in zip(*(cut(Document("d", "t", LONG), words=50, overlap=0)[at:] for at in (0, 1)), strict=False))


@given(st.text(alphabet="ab. \n?!猫。#\"", max_size=400), st.integers(1, 12), st.integers(0, 6), st.lists(st.integers(0, 400), max_size=4))
def test_every_letter_is_in_a_passage_and_none_is_too_long(text, words, overlap, begins):
    sections = tuple((begin, f"s{begin}") for begin in sorted(set(begins)) if begin < len(text))
    made = cut(Document("d", "t", text, sections), words=words, overlap=min(overlap, words // 2))
    covered = set()
    for one in made:
        assert one.text == text[one.begin:one.end] and one.text
        assert len(WORD.findall(one.text)) <= STRETCH * words + words  # a heading may go before it
        covered |= set(range(one.begin, one.end))
    assert all(place in covered for place, mark in enumerate(text) if mark.isalnum())
    assert [one.end for one in made] == sorted(one.end for one in made)


@pytest.mark.parametrize("text", ["x" * 2_000_000, "word " * 400_000, "." * 1_000_000 + "a", "a.b" * 500_000, "猫" * 500_000])
def test_text_without_sentences_is_cut_in_linear_time(text):
    begun = time.process_time()
    made = cut(Document("d", "t", text))
    assert time.process_time() - begun < 20 and "".join(one.text for one in cut(Document("d", "t", text), overlap=0)).replace(" ", "") == \
        text.replace(" ", "")
    assert max(len(one.text) for one in made) <= 40 * 100 * STRETCH


def test_files_that_are_not_what_they_seem_are_told_and_left_out(tmp_path):
    (tmp_path / "good.txt").write_text("Good words.", encoding="utf-8")
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "zeros.txt").write_bytes(b"a\0b\0" * 100)
    (tmp_path / "page.txt").write_text("<!doctype html><p>x", encoding="utf-8")
    (tmp_path / "empty.txt").write_text("", encoding="utf-8")
    (tmp_path / "marks.md").write_text("***\n", encoding="utf-8")
    (tmp_path / "numbers.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    found, account = held(tmp_path)
    assert list(found) == ["good.txt"]
    assert account.reasons == {"unreadable": 5, "without words": 1} and {place for place, _ in account.left_out} == {
        "binary.txt", "zeros.txt", "page.txt", "empty.txt", "marks.md", "numbers.csv"}
    with pytest.raises(DataError):
        list(documents(str(tmp_path / "binary.txt")))


def test_empty_folders_and_strange_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="no file that can be indexed") as told:
        list(documents(str(tmp_path)))
    assert told.value.exit == Exit.NO_INPUT
    (tmp_path / "a.xyz").write_text("words", encoding="utf-8")
    with pytest.raises(UserError, match="of no kind"):
        list(documents(str(tmp_path / "a.xyz")))
    with pytest.raises(UserError) as told:
        list(documents(str(tmp_path / "none.txt")))
    assert told.value.exit == Exit.NO_INPUT


def test_pdf_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdf", None)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    with pytest.raises(UserError, match="pypdf") as told:
        list(documents(str(tmp_path / "a.pdf")))
    assert told.value.exit == Exit.UNAVAILABLE and "headstart[pdf]" in told.value.fix
    (tmp_path / "b.txt").write_text("Words.", encoding="utf-8")
    found, account = held(tmp_path)
    assert list(found) == ["b.txt"] and "headstart[pdf]" in account.left_out[0][1]


def test_a_broken_pdf_is_told_and_left_out(tmp_path):
    pytest.importorskip("pypdf")
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 and then nothing")
    (tmp_path / "b.txt").write_text("Words.", encoding="utf-8")
    found, account = held(tmp_path)
    assert list(found) == ["b.txt"] and "damaged" in account.left_out[0][1]


def test_rows_are_documents(tmp_path):
    (tmp_path / "rows.csv").write_text("name,head,body\na,Tea,Drink it.\na,Cake,Eat it.\nb,None,\n", encoding="utf-8")
    found, account = held(tmp_path / "rows.csv", columns={"text": "body", "title": "head", "id": "name"})
    assert {name: (one.title, one.text) for name, one in found.items()} == {"a": ("Tea", "Drink it."), "a#2": ("Cake", "Eat it.")}
    assert account.renamed == 1 and account.reasons == {"without words": 1} and "ID#2" in "\n".join(account.words())
    with pytest.raises(UserError, match="there is no column"):
        held(tmp_path / "rows.csv", columns={"text": "bodi"})


def test_rows_of_parquet_are_documents(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"id": [7, 8], "passage": ["One.", "Two."]}), tmp_path / "rows.parquet")
    assert [(one.id, one.text) for one in documents(str(tmp_path / "rows.parquet"))] == [("7", "One."), ("8", "Two.")]


def test_faulty_rows_stop_or_are_counted(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "One."}\nno json\n{"text": "\\ud800 Two."}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"rows\.jsonl:2"):
        held(tmp_path / "rows.jsonl")
    found, account = held(tmp_path / "rows.jsonl", settings=Data(bad_rows="skip"))
    assert [one.text for one in found.values()] == ["One.", "? Two."] and account.reasons == {"faulty rows": 1}
    with pytest.raises(DataError):
        held(tmp_path)


def test_near_duplicates_are_those_that_a_full_comparison_finds():
    import random

    import numpy as np

    draw = random.Random(0)
    texts = []
    for number in range(40):
        words = [f"w{draw.randrange(300)}" for _ in range(80)]
        texts.append(" ".join(words))
        for _ in range(draw.randrange(4)):
            changed = list(words)
            for _ in range(draw.randrange(9)):
                changed[draw.randrange(80)] = f"n{draw.randrange(9)}"
            texts.append(" ".join(changed) + f" {number}")
    sets = [shingles(text) for text in texts]
    wanted = list(range(len(texts)))
    for row, own in enumerate(sets):
        wanted[row] = next((other for other in range(row) if wanted[other] == other and likeness(own, sets[other]) >= 0.9), row)
    found = folds(np.stack([signature(text) for text in texts]), texts.__getitem__, 0.9)
    assert len(set(wanted)) < len(texts) and found.tolist() == wanted
