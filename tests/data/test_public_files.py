"""Three files that everybody in this field has met, as they are written, with words of our own: Python's csv module,
pandas and headstart read the same table.
"""

import csv
import io
import random

import pytest

from headstart.data.table import open_table
from headstart.settings import Data

pandas = pytest.importorskip("pandas")
WORDS = ("the bus leaves at nine and nobody told us why it is late again today please call me back when you can we got a "
         "free ticket for the match so come over tonight i will bring tea").split()
ODD_PIECES = ('"', '""', "'", ";", ",", "\\", "&amp;", "£", "é", "…", "“so”", ":-)", "@shop", "http://x.example/a?b=1,2", '" ',
              "#1", "\\n", "%", "|", "--", "...", '5"', "(", "*")
LINE_ENDS = ("\n", "\n\n", " \n")


def sentence(rng, *, pieces=ODD_PIECES, ends=()):
    """A text of words, with odd pieces and line ends among them."""
    words = rng.choices(WORDS, k=rng.randint(3, 20))
    for _ in range(rng.randint(0, 3)):
        words.insert(rng.randrange(len(words) + 1), rng.choice(pieces))
    if ends and rng.random() < 0.4:
        words.insert(rng.randint(1, len(words)), rng.choice(ends))
    text = " ".join(words).strip()
    return f'"{text}' if rng.random() < 0.1 and '"' in pieces else text


def headstart_rows(path, **settings):
    """The table as headstart reads it."""
    table = open_table(str(path), Data(**settings))
    assert not [finding for finding in table.findings if finding.level != "note"], table.findings
    return list(table.columns), [list(record.values) for record in table]


def csv_rows(content, encoding, **dialect):
    """The table as Python's csv module reads it."""
    return list(csv.reader(io.StringIO(content.decode(encoding), newline=""), **dialect))


def pandas_rows(path, encoding, **options):
    """The table as pandas reads it."""
    frame = pandas.read_csv(path, encoding=encoding, dtype=str, keep_default_na=False, **options)
    return list(frame.columns), frame.values.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_messages_separated_by_tabs_with_quotes_that_are_characters(seed, tmp_path):
    """A label, a tab and a message a line; no header, and quotes that open and never close."""
    rng = random.Random(seed)
    rows = [[rng.choice(("ham", "ham", "spam")), sentence(rng).replace("\t", " ")] for _ in range(300)]
    path = tmp_path / "messages.tsv"
    path.write_bytes("".join(f"{label}\t{text}\n" for label, text in rows).encode())
    columns, read = headstart_rows(path, header=False)
    assert read == rows == csv_rows(path.read_bytes(), "utf-8", delimiter="\t", quoting=csv.QUOTE_NONE)
    assert pandas_rows(path, "utf-8", sep="\t", quoting=csv.QUOTE_NONE, header=None)[1] == rows
    assert columns == ["0", "1"]


@pytest.mark.parametrize("seed", range(5))
def test_messages_as_an_office_program_saved_them(seed, tmp_path):
    """v1,v2 and three columns without a name, in cp1252, quoted where a comma or a quote is inside."""
    rng = random.Random(seed)
    rows = [[rng.choice(("ham", "spam")), sentence(rng), *([sentence(rng), "", ""] if rng.random() < 0.01 else [""] * 3)]
            for _ in range(300)]
    path = tmp_path / "messages.csv"
    with path.open("w", encoding="cp1252", newline="") as file:
        csv.writer(file, lineterminator="\r\n").writerows([["v1", "v2", "", "", ""], *rows])
    columns, read = headstart_rows(path, encoding="cp1252")
    expected = csv_rows(path.read_bytes(), "cp1252")
    assert [row[:len(columns)] for row in expected[1:]] == read
    assert not any(value for row in expected[1:] for value in row[len(columns):])
    assert [row[:len(columns)] for row in pandas_rows(path, "cp1252")[1]] == read
    assert [row[:2] for row in rows] == [row[:2] for row in read]


@pytest.mark.parametrize("seed", range(5))
def test_tweets_with_line_ends_and_quotes_in_them(seed, tmp_path):
    """Fifteen columns, many of them empty; texts over several lines, with quotes, emoji and mentions."""
    rng = random.Random(seed)
    names = ["tweet_id", "sentiment", "sentiment_confidence", "reason", "reason_confidence", "airline", "gold", "name",
             "reason_gold", "retweets", "text", "coord", "created", "location", "timezone"]
    rows = [[str(5 * 10**17 + number), rng.choice(("negative", "neutral", "positive")), f"{rng.random():.4f}",
             rng.choice(("", "Late Flight")), rng.choice(("", "0.7")), "Northern", "", f"user{number}", "", "0",
             sentence(rng, pieces=(*ODD_PIECES, "\U0001f600", "✈"), ends=LINE_ENDS),
             rng.choice(("", "[40.7, -73.9]")), "2015-02-24 11:35:52 -0800", rng.choice(("", 'Here, "there"')), ""]
            for number in range(300)]
    path = tmp_path / "tweets.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([names, *rows])
    columns, read = headstart_rows(path)
    assert columns == names and read == rows == csv_rows(path.read_bytes(), "utf-8")[1:]
    assert pandas_rows(path, "utf-8") == (names, rows)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("is_named", [True, False])
def test_news_in_cp1252_with_quotes_where_they_are_needed_and_where_not(seed, is_named, tmp_path):
    """Headlines with quotes in the middle of a field that none enclose, articles over several lines; not UTF-8."""
    rng = random.Random(seed)
    rows = []
    for _ in range(200):
        headline = " ".join(rng.choices(WORDS, k=5)) + rng.choice((' "so" he says', " £5 more", "", " – live"))
        rows.append(["Jo Doe", "03 Aug 2017,Thursday", headline, "http://x.example/a?utm=1", sentence(rng),
                     sentence(rng, ends=LINE_ENDS) + " “indeed” – naïve café"])
    names = ["author", "date", "headlines", "read_more", "text", "ctext"]

    def field(text, *, encloses):
        return '"' + text.replace('"', '""') + '"' if encloses or set(text) & set(',\n"') else text

    lines = [",".join(names)]
    for row in rows:
        plain = ["," not in text and not text.startswith('"') and "\n" not in text for text in row]
        is_ragged = [place == 2 and plain[place] for place in range(6)]  # quotes inside, as they are
        lines.append(",".join(text if ragged else field(text, encloses=rng.random() < 0.3)
                              for text, ragged in zip(row, is_ragged, strict=True)))
    path = tmp_path / "news.csv"
    path.write_bytes(("\n".join(lines) + "\n").encode("cp1252"))
    columns, read = headstart_rows(path, **({"encoding": "cp1252"} if is_named else {}))
    assert columns == names and read == rows == csv_rows(path.read_bytes(), "cp1252")[1:]
    assert pandas_rows(path, "cp1252") == (names, rows)
