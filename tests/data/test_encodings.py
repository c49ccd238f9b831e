"""Every file is read in the encoding that it is in, and it is said which; where two are as likely it is asked."""

import bz2
import codecs
import gzip
import lzma

import pytest

from headstart.data.table import open_table
from headstart.errors import DataError, UserError
from headstart.settings import Data

TEXTS = {
    "ru": ["Комната была чистой, персонал приветливый", "Очень шумно ночью, не рекомендую", "хорошо", "плохо"],
    "uk": ["Кімната була чистою, персонал привітний", "Дуже шумно вночі, не рекомендую", "добре", "погано"],
    "cs": ["Žluťoučký kůň úpěl ďábelské ódy", "Pokoj byl čistý a personál příjemný", "dobře", "špatně"],
    "pl": ["Pokój był czysty, obsługa miła", "Bardzo głośno w nocy, śniadanie źle podane", "świetnie", "źle"],
    "fr": ["Le café était très bon, l’hôtel bruyant", "plutôt déçu, à éviter", "très bien", "mauvais"],
    "de": ["Das Frühstück war schön", "Zimmer war übel, Möbel größtenteils kaputt", "gut", "schlecht"],
    "en": ["It’s a “good” room – really…", "The room’s clean, don’t miss it", "good", "bad"],
    "el": ["Το δωμάτιο ήταν καθαρό και το προσωπικό ευγενικό", "Πολύ θόρυβος τη νύχτα", "καλό", "κακό"],
    "zh": ["房间很干净，服务员很热情", "晚上太吵了，不推荐，早餐很好吃但是很贵", "好", "差"],
    "zh-TW": ["房間很乾淨，服務員很熱情", "晚上太吵了，不推薦，早餐很好吃但是很貴", "好", "差"],
    "ja": ["部屋はとても清潔で、スタッフも親切でした", "夜はうるさかったです", "良い", "悪い"],
    "ko": ["방이 매우 깨끗하고 직원이 친절했습니다", "밤에 너무 시끄러웠어요", "좋음", "나쁨"],
}
WITHOUT_UNICODE = [("ru", "cp1251"), ("ru", "koi8-r"), ("ru", "iso8859-5"), ("ru", "cp866"), ("uk", "cp1251"),
                   ("cs", "cp1250"), ("cs", "iso8859-2"), ("pl", "cp1250"), ("pl", "iso8859-2"), ("fr", "cp1252"),
                   ("de", "cp1252"), ("en", "cp1252"), ("el", "cp1253"), ("zh", "gb18030"), ("zh-TW", "big5"),
                   ("ja", "shift_jis"), ("ja", "euc-jp"), ("ko", "euc-kr")]
UNICODE = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


def table_text(language, count):
    first, second, good, bad = TEXTS[language]
    return "text,label\r\n" + "".join(f'"{(first, second)[row % 2]} {row}",{(good, bad)[row % 2]}\r\n'
                                      for row in range(count))


def open_bytes(tmp_path, content, name="a.csv", **settings):
    path = tmp_path / name
    path.write_bytes(content)
    return open_table(str(path), Data(**settings))


@pytest.mark.parametrize("count", [2, 40])
@pytest.mark.parametrize("language, encoding", WITHOUT_UNICODE)
def test_encodings_that_are_not_unicode_are_found_and_told_with_confidence(language, encoding, count, tmp_path):
    table = open_bytes(tmp_path, table_text(language, count).encode(encoding))
    assert table[0].values == (TEXTS[language][0] + " 0", TEXTS[language][2])
    told = next(finding for finding in table.findings if finding.code in ("N101", "W102"))
    assert "confidence 0." in told.message or "confidence 1." in told.message
    assert "data.encoding" in told.fix and table.builder.encoding in table.format


@pytest.mark.parametrize("encoding", UNICODE)
@pytest.mark.parametrize("language", ["ru", "fr", "ja"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_unicode_is_found_with_and_without_a_mark(encoding, language, suffix, tmp_path):
    text = table_text(language, 4) if suffix == "csv" else f'{{"text": "{TEXTS[language][0]} 0", "label": "{TEXTS[language][2]}"}}\n'
    table = open_bytes(tmp_path, text.encode(encoding), f"a.{suffix}")
    assert table[0].values == (TEXTS[language][0] + " 0", TEXTS[language][2]) and table.columns == ("text", "label")


def test_one_byte_that_is_not_utf8_is_a_fault_at_its_place_and_changes_no_other_row(tmp_path, headstart):
    lines = ["text,label", *(f"café 中 {row},x" for row in range(80))]
    content = "\n".join(lines).encode().replace("café 中 41".encode(), b"caf\xe9 " + "中 41".encode())
    table = open_bytes(tmp_path, content + b"\n")
    assert len(table) == 79 and table[0].values == ("café 中 0", "x")
    fault = next(finding for finding in table.findings if finding.code == "E103")
    assert (fault.line, fault.column) == (43, 4) and "0xE9" in fault.message and "'é'" in fault.fix
    code, _, stderr = headstart("check", tmp_path / "a.csv")
    assert code == 65 and "a.csv:43:4 [E103]" in stderr


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_bad_bytes_are_placed_whatever_ends_a_line(end, tmp_path):
    content = end.join(["text,label", '"é é\u00e9",x', "\u20ac,y", '"two' + end + 'lines BAD",z', "BAD,y", ""]).encode()
    table = open_bytes(tmp_path, content.replace(b"BAD", b"\xff"))
    assert [(finding.line, finding.column) for finding in table.findings if finding.code == "E103"] == [(5, 7), (6, 1)]
    assert [record.values[1] for record in table] == ["x", "y"]


@pytest.mark.parametrize("name, text, line", [
    ("a.jsonl", '{"text": "é é", "label": "x"}\n{"text": "aBAD", "label": "y"}\n', 2),
    ("a.txt", "é é\nsome BAD text\n", 2), ("a.conll", "é\tO\nb\tB-X\n\naBAD\tO\n", 4),
    ("a.json", '[{"text": "é é"},\n {"text": "aBAD"}]', 2)])
def test_bad_bytes_are_faults_in_every_format(name, text, line, tmp_path):
    table = open_bytes(tmp_path, text.encode().replace(b"BAD", b"\xff"), name)
    assert [(finding.code, finding.line) for finding in table.findings if finding.level == "fault"] == [("E103", line)]
    assert len(table) == 1


def test_bad_bytes_in_the_header_are_a_fault(tmp_path):
    table = open_bytes(tmp_path, "é,text\xff,label\n".encode("latin-1").replace(b"\xe9", "é".encode()) + b"a,b,c\n")
    assert [(finding.code, finding.line, finding.column) for finding in table.findings] == [("E103", 1, 7)]


def test_two_encodings_that_are_as_likely_are_asked_with_both_texts(tmp_path, headstart):
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,label\n\xe9,1\n\xf3,0\n")
    code, _, stderr = headstart("check", path)
    assert code == 65 and "[E120]" in stderr and "cp1252: 'é,1'" in stderr and stderr.count("data.encoding=") == 2
    assert open_table(str(path), Data(encoding="cp1252"))[0].values == ("é", "1")


@pytest.mark.parametrize("name", ["rot13", "base64", "hex", "zlib", "punycode", "idna", "unicode_escape", "undefined",
                                  "no-such", "a\0b"])
def test_only_encodings_of_text_are_taken(name, tmp_path):
    with pytest.raises(UserError) as caught:
        open_bytes(tmp_path, b"text,label\na,b\n", encoding=name)
    assert caught.value.exit == 78 and "data.encoding" in caught.value.message


def test_zero_bytes_are_called_so(tmp_path):
    for content, words in ((b"\0" * 200, "the file is NUL bytes"),
                           (b"\0" * 70_000 + b"text,label\na,b\n", "the first 65,536 bytes of the file are NUL bytes")):
        with pytest.raises(DataError) as caught:
            open_bytes(tmp_path, content)
        assert words in caught.value.message and "E106" in caught.value.message


def test_a_byte_order_mark_inside_the_file_is_told(tmp_path):
    table = open_bytes(tmp_path, "text,label\na,x\n\ufeffb,y\n".encode())
    assert [(finding.code, finding.line) for finding in table.findings] == [("W103", 3)]


def zstd(content):
    import pyarrow

    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd}


@pytest.mark.parametrize("ending", PACKERS)
def test_compressed_files_are_unpacked_as_they_are_read(ending, tmp_path):
    content = "text,label\na é,x\nb,y\n".encode()
    table = open_bytes(tmp_path, PACKERS[ending](content), f"a.csv.{ending}")
    assert [record.values for record in table] == [("a é", "x"), ("b", "y")]
    packed = PACKERS[ending](content * 5000)
    with pytest.raises(DataError) as caught:
        open_bytes(tmp_path, packed[:len(packed) // 2], f"cut.csv.{ending}")
    assert caught.value.findings[0].code == "E113"


@pytest.mark.parametrize("ending", PACKERS)
def test_what_unpacks_beyond_the_bound_is_refused_with_the_number(ending, tmp_path):
    packed = PACKERS[ending](b"text,label\n" + b"some words,x\n" * 200_000)
    with pytest.raises(DataError) as caught:
        open_bytes(tmp_path, packed, f"a.csv.{ending}", max_bytes=1_000_000)
    assert "[E121]" in caught.value.message and "1,000,000" in caught.value.message
    assert "data.max_bytes" in caught.value.message


def test_what_is_compressed_twice_is_said_to_be(tmp_path):
    with pytest.raises(DataError) as caught:
        open_bytes(tmp_path, gzip.compress(gzip.compress(b"text,label\na,b\n")), "a.csv.gz.gz")
    assert "compressed twice" in caught.value.message


def test_how_the_file_was_written_is_recorded(tmp_path):
    table = open_bytes(tmp_path, codecs.BOM_UTF8 + "text;label\r\n\"a;é\";x\r\n".encode())
    assert table.builder.encoding == "utf-8-sig"
    assert table.builder.layout == {"delimiter": ";", "quote": '"', "escape": "", "line_end": "\r\n",
                                     "quotes": "minimal"}
