"""Documents that were made to do harm: links, and files that cost a reader ever more time than their length."""

import gzip
import json
import os
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import DataError
from headstart.retrieval.documents import document, text_file
from headstart.retrieval.documents.chunking import chunk_document, searchable_text
from headstart.retrieval.documents.document import ReadReport
from headstart.retrieval.documents.html_tokens import html_tokens
from headstart.retrieval.documents.load import load_documents
from headstart.retrieval.documents.markup import TextExtractor, markdown_headings
from headstart.text.answer_spans import find_answer
from headstart.text.chunks import chunks
from headstart.text.normalise import normalise_text
from headstart.text.sentences import sentence_spans

MARKDOWN = {  # name -> the text of a size
    "blanks in a heading": lambda n: "# a" + " " * n + "b",
    "blanks in a front matter's title": lambda n: "---\ntitle: a" + " " * n + "b\n---\nwords",
    "a long heading over many small ones": lambda n: "# " + "a" * n + "\n" + "## b\nc\n" * (n // 8),
    "underlines": lambda n: "=" * n + "x\n" + "- " * n,
    "fences": lambda n: "```\n~~~\n" * (n // 8),
    "sentence marks": lambda n: ".)" * (n // 4) + "." * (n // 4) + " ." * (n // 4),
    "accents on one letter": lambda n: "a" + "\u0300\u0327" * (n // 4) + " tea",
    "one word": lambda n: "a" * n,
    "empty lines with blanks": lambda n: ("\n" + " " * 50) * (n // 50)}
HTML = {
    "unfinished comments": lambda n: "<!--" + "<!-" * (n // 3),
    "unfinished declarations": lambda n: "<!a" * (n // 3),
    "unfinished tags": lambda n: "<a " * (n // 3),
    "unfinished ends": lambda n: "</a" * (n // 3),
    "unfinished values": lambda n: "<a b=\"<a c='" * (n // 12) + ">",
    "ends of other elements": lambda n: "<svg>" * (n // 10) + "</template>" * (n // 20),
    "a heading of many parts": lambda n: "<h1>" + "a<b>" * (n // 4),
    "a title of many parts": lambda n: "<title>a</title>" * (n // 16) + "<title>" + "b<b>" * (n // 8),
    "scripts without an end": lambda n: "<script>" * (n // 8),
    "entities": lambda n: "&#" + "1" * n + ";" + "&a" * (n // 2) + "&" * n}


def read_markdown(text):
    markdown_headings(text)
    normalise_text(text)
    loaded = document.Document("d", "d", text)
    return [searchable_text(passage) for passage in chunk_document(loaded)]


def read_html(text):
    parser = TextExtractor()
    parser.read(text)
    return parser.pieces


def best_seconds(read, text):
    def seconds():
        start = time.process_time()
        read(text)
        return time.process_time() - start
    return min(seconds() for _ in range(2))


@pytest.mark.parametrize(("read", "make"), [
    *(pytest.param(read_markdown, make, id=name) for name, make in MARKDOWN.items()),
    *(pytest.param(read_html, make, id=name) for name, make in HTML.items())])
def test_twice_the_length_takes_about_twice_the_time(read, make):
    size = 20_000
    while (before := best_seconds(read, make(size))) < 0.01 and size < 1_000_000:
        size *= 2
    assert before < 2  # a megabyte and less
    after = best_seconds(read, make(2 * size))
    assert after < 3 * before + 0.01, f"{2 * size:,} characters: {before:.3f} s, then {after:.3f} s"


def test_one_letter_repeated_is_searched_and_cut_in_bounded_time():
    start = time.process_time()
    assert find_answer("a" * 200_000, "a" * 50_000, None).begin == 0
    pieces = chunks("b" * 300_000, len, 500)
    assert "".join(pieces) == "b" * 300_000 and max(map(len, pieces)) <= 500
    assert len(sentence_spans("? " * 100_000)) == 100_000
    assert time.process_time() - start < 3


PARTS = st.sampled_from(["<p>", "</p>", "<b class='x > y'>", "</b>", "<br/>", "<img alt=\"a > b\">", " tea ", "cake",
                         "<!-- a <b> comment -->", "&amp;", "&uuml;", "\n", "<h2>", "</h2>", "<script>if (a < b) x()</script>",
                         "5 < 6", "<!DOCTYPE html>", "<td>", "</td>", "<title>T &lt; U</title>"])


@given(st.lists(PARTS, max_size=25))
def test_a_page_has_the_tags_and_texts_that_pythons_parser_finds(parts):
    class Reference(HTMLParser):
        def __init__(self):
            super().__init__()
            self.tokens = []

        def handle_starttag(self, tag, attrs):
            self.tokens.append(("start", tag))

        def handle_startendtag(self, tag, attrs):
            self.tokens.append(("empty", tag))

        def handle_endtag(self, tag):
            self.tokens.append(("end", tag))

        def handle_data(self, data):
            if self.tokens[-1:] != [("start", "script")]:
                self.tokens.append(("text", data))

    def joined(tokens):
        together = []
        for kind, text in tokens:
            if kind == "text" and together and together[-1][0] == "text":
                together[-1] = ("text", together[-1][1] + text)
            else:
                together.append((kind, text))
        return together

    page = "".join(parts)
    reference = Reference()
    reference.feed(page)
    reference.close()
    assert joined((token.kind, token.text) for token in html_tokens(page)) == joined(reference.tokens)


def test_what_is_cut_off_stays_text_and_numbers_of_no_character_are_marked():
    assert read_html("if a <b then c") == ["if a", " ", "<", "b then c"]
    assert "".join(read_html("&#" + "9" * 5000 + "; &#233;")) == "\ufffd é"


def test_links_are_not_followed_and_told(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("A secret that nobody asked for.")
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "own.txt").write_text("Words of its own.")
    (folder / "linked.txt").symlink_to(outside / "secret.txt")
    (folder / "linked").symlink_to(outside)
    os.mkfifo(folder / "pipe.txt")
    report = ReadReport()
    assert [loaded.id for loaded in load_documents(str(folder), report=report)] == ["own.txt"]
    assert report.reason_counts == {"links": 2, "no files": 1}
    assert any("links are not followed" in reason for _, reason in report.skipped)


def test_a_document_has_a_size_limit_also_in_an_archive(tmp_path, monkeypatch):
    monkeypatch.setattr(text_file, "MAX_BYTES", 1000)
    (tmp_path / "long.txt.gz").write_bytes(gzip.compress(b"words " * 10_000))
    with pytest.raises(DataError, match="E119"):
        list(load_documents(str(tmp_path / "long.txt.gz")))
    (tmp_path / "short.txt").write_text("words")
    report = ReadReport()
    assert [loaded.id for loaded in load_documents(str(tmp_path), report=report)] == ["short.txt"]
    assert report.reason_counts == {"unreadable": 1}


def test_long_titles_are_cut_and_long_ids_left_out(tmp_path):
    rows = [{"id": "i" * 2000, "text": "one"}, {"id": "a", "title": "t" * 5000, "text": "two"}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    report = ReadReport()
    (loaded,) = load_documents(str(tmp_path / "rows.jsonl"), report=report)
    assert len(loaded.title) == document.MAX_HEADING and report.reason_counts == {"long ids": 1}


def test_an_id_that_comes_again_and_again_is_numbered_in_linear_time(tmp_path):
    rows = "\n".join(json.dumps({"id": "a", "text": f"words {number}"}) for number in range(20_000))
    (tmp_path / "rows.jsonl").write_text(rows)
    start = time.process_time()
    ids = [loaded.id for loaded in load_documents(str(tmp_path / "rows.jsonl"))]
    assert ids[:3] == ["a", "a#2", "a#3"] and len(set(ids)) == 20_000 and time.process_time() - start < 10


@pytest.mark.parametrize("encoding", ["base64", "idna", "punycode", "undefined", "utf-7", "no-such"])
def test_a_page_cannot_name_an_encoding_that_is_none(encoding, tmp_path):
    (tmp_path / "page.html").write_bytes(b'<meta charset="' + encoding.encode() + b'"><p>T\xc3\xa9 words</p>')
    (loaded,) = load_documents(str(tmp_path / "page.html"))
    assert loaded.text == "Té words"
