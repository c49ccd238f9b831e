"""The tokenizer of a Transformer-XL: splits as published, keeps offsets, reads its vocabulary without running code."""

import builtins
import collections
import io
import pickle
import struct
import sys
import unicodedata

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import headstart.models.register  # noqa: F401 - AutoTokenizer must know the class
from headstart.errors import UserError
from headstart.models.transfo_xl.moses import Moses
from headstart.models.transfo_xl.tokenizer import TransfoXLTokenizer
from headstart.models.transfo_xl.vocabulary import TORCH_MAGIC, read_words

WORDS = ["<eos>", "the", "<unk>", ",", ".", "@-@", "@,@", "@.@", "<formula>", "well", "known", "23", "000", "people",
         "are", "1", "80m", "tall", "-", '"', "don", "'t", "don't", "café", "naïve", "“", "东京", "🙂", "Well", "..."]


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    path = tmp_path_factory.mktemp("words") / "vocab.txt"
    path.write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tokenizer(vocabulary):
    return TransfoXLTokenizer(str(vocabulary))


def tokens_in_text(tokenizer, text):
    ids, offsets = tokenizer.offsets(text)
    return ids, [text[start:end] for start, end in offsets]


def test_words_are_split_as_published(tokenizer):
    text = '23,000 people are 1.80m tall - the well-known "people" don\'t.'
    expected = "23 @,@ 000 people are 1 @.@ 80m tall - the well @-@ known \" people \" don 't ."
    assert " ".join(tokenizer.tokenize(text)) == expected
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_nothing_is_added_and_unknown_words_are_unk(tokenizer):
    assert tokenizer("the zebra").data == {"input_ids": [1, 2], "attention_mask": [1, 1]}
    assert tokenizer("")["input_ids"] == tokenizer(" \n ")["input_ids"] == []
    assert tokenizer.eos_token_id == 0 and tokenizer.unk_token_id == 2 and tokenizer.pad_token is None
    assert len(tokenizer) == tokenizer.vocab_size == len(WORDS)
    assert tokenizer.convert_ids_to_tokens([9, 10_000]) == ["well", "<unk>"]


def test_special_words_stay_whole(tokenizer):
    text = "the <eos> well<formula>known <EOS>"
    assert tokenizer.tokenize(text) == ["the", "<eos>", "well", "<formula>", "known", "<EOS>"]
    assert tokenizer(text)["input_ids"] == [1, 0, 9, 8, 10, 2]


def test_small_letters_where_the_model_wants_them(vocabulary, tmp_path):
    small = TransfoXLTokenizer(str(vocabulary), lower_case=True)
    assert small.tokenize("THE Café, Izmir ΟΔΟΣ") == ["the", "café", ",", "izmir", "οδος"]
    assert tokens_in_text(small, "THE Café, Izmir ΟΔΟΣ")[1] == ["THE", "Café", ",", "Izmir", "ΟΔΟΣ"]
    # One letter becomes two, i and a dot; the rules cut between them.
    assert tokens_in_text(small, "xİstanbul the")[1] == ["xİ", "İ", "stanbul", "the"]
    small.save_pretrained(tmp_path)
    assert TransfoXLTokenizer.from_pretrained(tmp_path).tokenize("THE") == ["the"]


@pytest.mark.parametrize("text, expected", [
    ("the well-known 23,000", ["the", "well", "-", "known", "23", ",", "000"]),
    ("  “Well-known,” people… ", ["“", "Well", "-", "known", ",", "”", "people", "…"]),
    ("don’t 1.80m", ["don", "’t", "1", ".", "80m"]),
    ("(a) b", ["(", "a", ")", "b"]),
    ("a—b", ["a", "—", "b"]),
    ("1\u00a0000 3\u00a0% «\u00a0x\u00a0»", ["1", "\u00a0", "000", "3", "%", "«", "x", "»"]),
    ("a\x00b\r\nc", ["a\x00b", "c"]),
    ("東京🙂 e\u0301t", ["東", "京", "🙂", "e", "\u0301", "t"]),
    ("''x'' ``y``", ["''", "x", "''", "``", "y", "``"]),
    ("the <eos>the", ["the", "<eos>", "the"]),
    ("x.... DOTMULTI", ["x", "....", "DOTMULTI"]),
    ("Mr. A. said so.", ["Mr.", "A.", "said", "so", "."]),
])
def test_each_word_knows_its_characters(tokenizer, text, expected):
    ids, strings = tokens_in_text(tokenizer, text)
    assert ids == tokenizer(text)["input_ids"]
    assert strings == expected


def test_the_example_in_the_file_is_true(tokenizer):
    import headstart.models.transfo_xl.moses as file

    text, tokens, characters = file.__doc__.split("\n\n")[1].strip().split("\n")
    assert tokenizer.tokenize(text) == tokens.split()[1:]
    assert [f"{start}:{end}" for start, end in tokenizer.offsets(text)[1]] == characters.split()[1:]


def test_punctuation_that_moves_before_a_quotation_mark_keeps_its_offsets(tokenizer):
    text = 'the "people", "well".'
    assert tokenizer.tokenize(text) == ["the", '"', "people", ",", '"', '"', "well", ".", '"']
    assert tokenizer.offsets(text)[1] == [(0, 3), (4, 5), (5, 11), (12, 13), (11, 12), (14, 15), (15, 19), (20, 21),
                                          (19, 20)]


ODD = st.lists(st.one_of(
    st.sampled_from(list("ab1.,-'`\"“”’‘„«»…—–()%:;! "
                         "\t\n\r\u00a0º´‚@&|[]{}<>/?ÀİΣſ\x00\x1d\ufeff\u200b\u0301東🙂\u2028\u3000")),
    st.sampled_from(["DOTMULTI", "THISISPROTECTED000", "<eos>", "<EOS>", "1,000", "@-@", "nº\u00a0", "\u00a0cm", "a-b",
                     "...", "can't", "Mr."]),
    st.characters(exclude_categories=("Cs",))), max_size=25).map("".join)


@settings(max_examples=300, deadline=None)
@given(ODD)
@example("“a”,b")
@example('"""...,,,"""')
@example("DOTDOTMULTI..DOTMULTI.a")
@example("DOT\x00MULTI.")
@example("\u00a0«\u00a0\u00a0»\u00a0")
def test_offsets_and_tokens_agree_for_any_text(tokenizer, text):
    ids, offsets = tokenizer.offsets(text)
    assert ids == tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))
    tokens = tokenizer.tokenize(text)
    assert len(offsets) == len(tokens)
    covered = [False] * len(text)
    for token, (start, end) in zip(tokens, offsets, strict=True):
        assert 0 <= start <= end <= len(text)
        piece = text[start:end]
        if token.isalnum() and token.isascii() and not {"DOT", "THIS"} & {token[:3], token[:4]}:
            assert piece.translate(dict.fromkeys(range(32))) == token
        covered[start:end] = [True] * (end - start)
    # Every letter and digit belongs to a word.
    assert all(covered[index] for index, character in enumerate(text) if unicodedata.category(character)[0] in "LN")


@settings(max_examples=200, deadline=None)
@given(ODD)
def test_following_the_normaliser_gives_what_the_normaliser_gives(text):
    from headstart.models.transfo_xl.moses import TrackedText

    moses = Moses(["<eos>"])
    tracked = TrackedText(text, [(index, index + 1) for index in range(len(text))])
    for pattern, template in moses.normaliser.substitutions:
        tracked = tracked.substituted(pattern, template)
        assert len(tracked.text) == len(tracked.spans)
    assert tracked.text.strip() == moses.normaliser.normalize(text)


def test_added_tokens_are_found_as_the_library_finds_them(vocabulary):
    from transformers import AddedToken

    tokenizer = TransfoXLTokenizer(str(vocabulary))
    tokenizer.add_tokens([AddedToken("[A]", single_word=True), "known"])
    ids, strings = tokens_in_text(tokenizer, "the [A] x[A] well-known.")
    assert tokenizer.tokenize("the [A] x[A] well-known.") == ["the", "[A]", "x", "[", "A", "]", "well-", "known", "."]
    assert strings == ["the", "[A]", "x", "[", "A", "]", "well-", "known", "."]
    assert ids[1] == len(WORDS)


def test_batches_are_padded_once_a_padding_word_is_named(tokenizer, vocabulary):
    padding_tokenizer = TransfoXLTokenizer(str(vocabulary), pad_token="<eos>")
    batch = padding_tokenizer(["the well", "the"], padding=True, return_tensors="pt")
    assert batch["input_ids"].tolist() == [[1, 9], [1, 0]] and batch["attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert len(padding_tokenizer) == len(WORDS)


def test_a_saved_tokenizer_is_the_same(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    assert (tmp_path / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1] == WORDS
    assert {path.suffix for path in tmp_path.iterdir()} == {".txt", ".json"}
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert type(loaded) is TransfoXLTokenizer and loaded.get_vocab() == tokenizer.get_vocab()
    text = "Well-known “café” <formula> 1,000"
    assert loaded(text) == tokenizer(text) and loaded.offsets(text) == tokenizer.offsets(text)


def published(words=WORDS, **changes):
    """What the published files hold."""
    return {"counter": collections.Counter(words), "special": ["<eos>"], "min_freq": 0, "max_size": None,
            "lower_case": False,
            "delimiter": None, "vocab_file": None, "idx2sym": list(words), "eos_idx": 0, "unk_idx": 2,
            "sym2idx": collections.OrderedDict((word, index) for index, word in enumerate(words))} | changes


def old_torch(content):
    """The form in which torch saved until 2020: four pickles and the (empty) list of storages."""
    stream = io.BytesIO()
    for value in (TORCH_MAGIC, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}},
                  content, []):
        pickle.dump(value, stream, protocol=2)
    return stream.getvalue()


def new_torch(content):
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


FORMS = {"old torch": old_torch, "torch": new_torch, "pickle": lambda content: pickle.dumps(content, protocol=4)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["vocab.bin", "vocab.pkl"])
def test_the_published_vocabulary_is_read(form, name, tmp_path, tokenizer):
    (tmp_path / name).write_bytes(FORMS[form](published()))
    (tmp_path / "config.json").write_text('{"model_type": "transfo-xl"}')
    loaded = TransfoXLTokenizer.from_pretrained(tmp_path)
    assert loaded.get_vocab() == tokenizer.get_vocab()
    loaded.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved" / name).exists()
    assert TransfoXLTokenizer.from_pretrained(tmp_path / "saved").get_vocab() == tokenizer.get_vocab()


def test_a_file_saved_by_an_old_torch_is_read(tmp_path):
    torch.save(published(), tmp_path / "vocab.bin", _use_new_zipfile_serialization=False)
    assert read_words(tmp_path / "vocab.bin") == WORDS


class Trap:
    """Would write a file if a reader ran it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


class State(Trap):
    def __reduce__(self):
        return collections.Counter, ({"a": 1},), None, None, iter([("b", Trap(self.path))])


def opcodes(text):
    """Pickles that no honest writer makes: the old opcode for a call, an extension, a reference to elsewhere."""
    return {"inst": b"\x80\x02(S'true'\nios\nsystem\n.", "extension": b"\x80\x02\x82\x01.",
            "elsewhere": b"\x80\x02Pnumber\n.", "elsewhere on the stack": b"\x80\x02X\x01\x00\x00\x00aQ.",
            "dotted": b"\x80\x04\x8c\x0bcollections\x8c\x0fCounter.__init__\x93.",
            "cut": old_torch(published())[:-400]}[text]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("trap", [Trap, State])
def test_nothing_in_a_file_is_run(form, trap, tmp_path):
    path, marker = tmp_path / "vocab.bin", tmp_path / "run"
    path.write_bytes(FORMS[form](published(counter=trap(marker))))
    with pytest.raises(UserError) as caught:
        read_words(path)
    assert caught.value.exit == 77 and not marker.exists()


@pytest.mark.parametrize("name", ["inst", "extension", "elsewhere", "elsewhere on the stack", "dotted", "cut"])
def test_odd_pickles_are_refused(name, tmp_path):
    (tmp_path / "vocab.bin").write_bytes(opcodes(name))
    with pytest.raises(UserError) as caught:
        read_words(tmp_path / "vocab.bin")
    assert caught.value.exit in (65, 77)


@pytest.mark.parametrize("content", [
    FORMS["pickle"]([1, 2]), FORMS["pickle"](published(idx2sym="abc")),
    FORMS["pickle"](published(idx2sym=["a", 3], sym2idx=None)),
    FORMS["pickle"](published(idx2sym=["a", "a"], sym2idx=None)), FORMS["pickle"](published(sym2idx={"a": 1})),
    FORMS["pickle"](published(idx2sym=["a b"], sym2idx=None)), b"PK\x03\x04nothing", b"a\n\nb\n", b"a\nb\na\n",
    b"a\n\xff\n", struct.pack("<B", 0x80)], ids=range(11))
def test_what_is_no_vocabulary_is_refused_in_words(content, tmp_path):
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(UserError, match=r"vocab\.txt") as caught:
        read_words(tmp_path / "vocab.txt")
    assert caught.value.exit == 65


def test_lines_may_have_counts_and_windows_ends(tmp_path):
    (tmp_path / "vocab.txt").write_bytes("\ufeff<eos> 900\r\n<unk>\t3\r\na\u00a0b\r\n".encode())
    assert read_words(tmp_path / "vocab.txt") == ["<eos>", "<unk>", "a\u00a0b"]


def test_a_vocabulary_that_is_missing_or_lacks_its_special_words_is_told(tmp_path):
    with pytest.raises(UserError, match="none of them is there"):
        TransfoXLTokenizer()
    with pytest.raises(UserError, match="Cannot read"):
        TransfoXLTokenizer(str(tmp_path / "vocab.txt"))
    path = tmp_path / "vocab.txt"
    path.write_text("a\n<unk>\n")
    with pytest.raises(UserError, match="<eos>"):
        TransfoXLTokenizer(str(path))
    path.write_text("<eos>\n<UNK>\n")
    assert TransfoXLTokenizer(str(path))("zebra")["input_ids"] == [1]


def test_without_sacremoses_the_extra_is_named(vocabulary, monkeypatch):
    original_import = builtins.__import__

    def import_without_sacremoses(name, *arguments, **keywords):
        if name == "sacremoses":
            raise ImportError(name)
        return original_import(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", import_without_sacremoses)
    monkeypatch.delitem(sys.modules, "sacremoses", raising=False)
    with pytest.raises(ImportError, match=r"headstart\[transfo-xl\]"):
        TransfoXLTokenizer(str(vocabulary))
