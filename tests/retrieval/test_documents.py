"""Documents of every kind become passages with their places; nothing is lost in silence."""

import gzip
import sys
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import DataError, Exit, UserError
from headstart.retrieval.documents.chunking import STRETCH, WORD, chunk_document, searchable_text
from headstart.retrieval.documents.load import Document, ReadReport, load_documents
from headstart.retrieval.documents.near_duplicates import jaccard, representatives, shingles, signature
from headstart.settings import Data

LONG = " ".join(f"Sentence number {number} tells of tea and of the river bank." for number in range(60))
PAGE = """<html><head><title>Tea &amp; cake</title><script>var x = "<p>never</p>";</script><style>p {}</style></head>
<body><h1>Tea</h1><p>Caf&eacute; tea is <b>old</b>, it   is good.</p><ul><li>one<li>two</ul><h2>Green <i>tea</i></h2><p>It is green.</p></body></html>"""


def load_all(path, **options):
    report = ReadReport()
    return {document.id: document for document in load_documents(str(path), report=report, **options)}, report


def test_a_folder_is_read_in_order_and_all_below_it(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.md").write_text("# Care\nWater it.\n", encoding="utf-8")
    (tmp_path / "a.txt").write_text("Plain words.", encoding="utf-8")
    (tmp_path / "c.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "d.txt.gz").write_bytes(gzip.compress(b"Packed words."))
    (tmp_path / "e.jsonl").write_text('{"id": "x", "title": "Tea", "answer": "Drink it."}\n', encoding="utf-8")
    (tmp_path / ".hidden.txt").write_text("Never.", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    loaded, report = load_all(tmp_path)
    # a folder's files before the folders in it
    assert list(loaded) == ["a.txt", "c.html", "d.txt.gz", "e.jsonl#x", "b/notes.md"]
    assert loaded["d.txt.gz"].text == "Packed words." and loaded["e.jsonl#x"].title == "Tea" and loaded[
        "b/notes.md"].title == "Care"
    assert report.reason_counts == {"of another kind": 1} and report.skipped[0][0] == "picture.png"
    assert "skipped 1" in "\n".join(report.lines())


def test_a_page_is_its_words_without_scripts(tmp_path):
    (tmp_path / "tea.html").write_text(PAGE, encoding="utf-8")
    (page,) = load_documents(str(tmp_path / "tea.html"))
    assert page.title == "Tea & cake" and "never" not in page.text and "Café tea is old, it is good." in page.text
    assert [(page.text[begin:begin + 3], name) for begin, name in page.sections] == [("Tea", "Tea"),
                                                                                     ("Gre", "Tea > Green tea")]
    assert [passage.section for passage in chunk_document(page)] == ["Tea", "Tea > Green tea"]


def test_a_page_may_name_its_own_encoding(tmp_path):
    (tmp_path / "old.html").write_bytes('<meta charset="iso-8859-1"><p>Café</p>'.encode("latin-1"))
    assert next(load_documents(str(tmp_path / "old.html"))).text == "Café"


def test_headings_of_markdown_are_sections_but_not_those_in_code(tmp_path):
    text = "# Tea\n\n## Green\nIt is green.\n```sh\n# no heading\n```\n\nBlack\n-----\nIt is black.\n"
    (tmp_path / "tea.md").write_text(text, encoding="utf-8")
    (page,) = load_documents(str(tmp_path / "tea.md"))
    assert page.text == text and page.sections == ((0, "Tea"), (7, "Tea > Green"), (text.index("Black"), "Tea > Black"))
    first, second = chunk_document(page)
    assert first.text.startswith("# Tea") and first.section == "Tea > Green" and second.section == "Tea > Black"
    assert searchable_text(second) == "Tea\n" + second.text and searchable_text(second, titles=False) == second.text


def test_passages_are_whole_sentences_with_an_overlap():
    passages = chunk_document(Document("d", "t", LONG), words=50, overlap=12)
    for passage, following in pairwise(passages):
        assert passage.text == LONG[passage.begin:passage.end] and passage.text.endswith(".") and passage.text[0] == "S"
        assert len(passage.text.split()) <= 50 and passage.begin < following.begin < passage.end < following.end
        assert 0 < len(LONG[following.begin:passage.end].split()) <= 12
    assert passages[0].begin == 0 and passages[-1].end == len(LONG)
    assert all(passage.end < following.begin for passage, following in zip(
        *(chunk_document(Document("d", "t", LONG), words=50, overlap=0)[start:] for start in (0, 1)), strict=False))


@given(st.text(alphabet="ab. \n?!猫。#\"", max_size=400), st.integers(1, 12), st.integers(0, 6),
       st.lists(st.integers(0, 400), max_size=4))
def test_every_letter_is_in_a_passage_and_none_is_too_long(text, words, overlap, begins):
    sections = tuple((begin, f"s{begin}") for begin in sorted(set(begins)) if begin < len(text))
    passages = chunk_document(Document("d", "t", text, sections), words=words, overlap=min(overlap, words // 2))
    covered = set()
    for passage in passages:
        assert passage.text == text[passage.begin:passage.end] and passage.text
        assert len(WORD.findall(passage.text)) <= STRETCH * words + words  # a heading may go before it
        covered |= set(range(passage.begin, passage.end))
    assert all(index in covered for index, character in enumerate(text) if character.isalnum())
    assert [passage.end for passage in passages] == sorted(passage.end for passage in passages)


@pytest.mark.parametrize("text", ["x" * 2_000_000, "word " * 400_000, "." * 1_000_000 + "a", "a.b" * 500_000,
                                  "猫" * 500_000])
def test_text_without_sentences_is_cut_in_linear_time(text):
    start = time.process_time()
    passages = chunk_document(Document("d", "t", text))
    assert time.process_time() - start < 20 and "".join(
        passage.text for passage in chunk_document(Document("d", "t", text), overlap=0)).replace(" ", "") == \
        text.replace(" ", "")
    assert max(len(passage.text) for passage in passages) <= 40 * 100 * STRETCH


def test_files_that_are_not_what_they_seem_are_told_and_left_out(tmp_path):
    (tmp_path / "good.txt").write_text("Good words.", encoding="utf-8")
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "zeros.txt").write_bytes(b"a\0b\0" * 100)
    (tmp_path / "page.txt").write_text("<!doctype html><p>x", encoding="utf-8")
    (tmp_path / "empty.txt").write_text("", encoding="utf-8")
    (tmp_path / "marks.md").write_text("***\n", encoding="utf-8")
    (tmp_path / "numbers.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    loaded, report = load_all(tmp_path)
    assert list(loaded) == ["good.txt"]
    assert report.reason_counts == {"unreadable": 5,
                                    "without words": 1} and {source for source, _ in report.skipped} == {
        "binary.txt", "zeros.txt", "page.txt", "empty.txt", "marks.md", "numbers.csv"}
    with pytest.raises(DataError):
        list(load_documents(str(tmp_path / "binary.txt")))


def test_empty_folders_and_strange_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="no file that can be indexed") as raised:
        list(load_documents(str(tmp_path)))
    assert raised.value.exit == Exit.NO_INPUT
    (tmp_path / "a.xyz").write_text("words", encoding="utf-8")
    with pytest.raises(UserError, match="of no kind"):
        list(load_documents(str(tmp_path / "a.xyz")))
    with pytest.raises(UserError) as raised:
        list(load_documents(str(tmp_path / "none.txt")))
    assert raised.value.exit == Exit.NO_INPUT


def test_pdf_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdf", None)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4")
    with pytest.raises(UserError, match="pypdf") as raised:
        list(load_documents(str(tmp_path / "a.pdf")))
    assert raised.value.exit == Exit.UNAVAILABLE and "headstart[pdf]" in raised.value.fix
    (tmp_path / "b.txt").write_text("Words.", encoding="utf-8")
    loaded, report = load_all(tmp_path)
    assert list(loaded) == ["b.txt"] and "headstart[pdf]" in report.skipped[0][1]


def test_a_broken_pdf_is_told_and_left_out(tmp_path):
    pytest.importorskip("pypdf")
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 and then nothing")
    (tmp_path / "b.txt").write_text("Words.", encoding="utf-8")
    loaded, report = load_all(tmp_path)
    assert list(loaded) == ["b.txt"] and "damaged" in report.skipped[0][1]


def test_rows_are_documents(tmp_path):
    (tmp_path / "rows.csv").write_text("name,head,body\na,Tea,Drink it.\na,Cake,Eat it.\nb,None,\n", encoding="utf-8")
    loaded, report = load_all(tmp_path / "rows.csv", columns={"text": "body", "title": "head", "id": "name"})
    assert {name: (document.title, document.text)
            for name, document in loaded.items()} == {"a": ("Tea", "Drink it."), "a#2": ("Cake", "Eat it.")}
    assert report.renamed_count == 1 and report.reason_counts == {"without words": 1} and "ID#2" in "\n".join(
        report.lines())
    with pytest.raises(UserError, match="there is no column"):
        load_all(tmp_path / "rows.csv", columns={"text": "bodi"})


def test_rows_of_parquet_are_documents(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"id": [7, 8], "passage": ["One.", "Two."]}), tmp_path / "rows.parquet")
    assert [(document.id, document.text)
            for document in load_documents(str(tmp_path / "rows.parquet"))] == [("7", "One."), ("8", "Two.")]


def test_faulty_rows_stop_or_are_counted(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "One."}\nno json\n{"text": "\\ud800 Two."}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"rows\.jsonl:2"):
        load_all(tmp_path / "rows.jsonl")
    loaded, report = load_all(tmp_path / "rows.jsonl", settings=Data(bad_rows="skip"))
    assert [document.text for document in loaded.values()] == ["One."] and report.reason_counts == {"faulty rows": 2}
    with pytest.raises(DataError):
        load_all(tmp_path)


def test_near_duplicates_are_those_that_a_full_comparison_finds():
    import random

    import numpy as np

    rng = random.Random(0)
    texts = []
    for number in range(40):
        words = [f"w{rng.randrange(300)}" for _ in range(80)]
        texts.append(" ".join(words))
        for _ in range(rng.randrange(4)):
            changed = list(words)
            for _ in range(rng.randrange(9)):
                changed[rng.randrange(80)] = f"n{rng.randrange(9)}"
            texts.append(" ".join(changed) + f" {number}")
    sets = [shingles(text) for text in texts]
    expected = list(range(len(texts)))
    for row, shingle_set in enumerate(sets):
        expected[row] = next((earlier for earlier in range(row) if expected[earlier] == earlier
                              and jaccard(shingle_set, sets[earlier]) >= 0.9), row)
    representative = representatives(np.stack([signature(text) for text in texts]), texts.__getitem__, 0.9)
    assert len(set(expected)) < len(texts) and representative.tolist() == expected
