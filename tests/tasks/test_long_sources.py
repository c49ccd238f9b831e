"""Sources that are longer than the model takes: in parts of whole sentences, nothing lost; folders of texts; stops; limits."""

import json
import re

import pytest
import tiny
import tiny_writers
import torch

import headstart as product
from headstart.text.chunks import chunks

TEXT = " ".join(tiny.texts(20, seed=4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_writers.folder("bart", tmp_path_factory.mktemp("bart"), seed=2)


def words_in(text):
    return len(text.split())


@pytest.mark.parametrize("room", [3, 8, 20, 10_000])
@pytest.mark.parametrize("text", [TEXT, "One. Two two two two two two two two. Three!", "x" * 50, "A line\n\nand another. " * 9, "好。我们去。" * 5])
def test_every_letter_is_in_exactly_one_part_and_parts_fit(text, room):
    size = len if len(text.split()) < 2 else words_in
    parts = chunks(text, size, room)
    assert "".join(re.sub(r"\s", "", part) for part in parts) == re.sub(r"\s", "", text)
    assert all(size(part) <= room for part in parts)


def test_parts_are_cut_between_sentences_where_they_can_be():
    assert chunks("A b c. D e f. G h i.", words_in, 6) == ["A b c. D e f.", "G h i."]
    assert chunks("A b c d e. F.", words_in, 3) == ["A b c", "d e. F."]


def written(folder, text, *more):
    held = product.load(str(folder), "summarization")
    held.set(dict(pair.split("=") for pair in ("generation.new_tokens=6", *more)))
    return held, held.predict([{"source": text}])[0]["prediction"]


def test_texts_of_parts_are_joined_and_written_for_once_more_when_asked(folder):
    held, joined = written(folder, TEXT, "task.long=chunks")
    tokenizer = held.loaded.tokenizer
    parts = chunks(TEXT, lambda text: len(tokenizer.tokenize(text).ids), tokenizer.room(1))
    assert len(parts) > 2
    alone = [held.predict([{"source": part}])[0]["prediction"] for part in parts]
    assert joined == " ".join(alone)
    assert written(folder, TEXT, "task.long=chunks-again")[1] == held.predict([{"source": joined}])[0]["prediction"]
    assert written(folder, TEXT)[1] == alone_of_the_beginning(held, tokenizer)
    assert written(folder, "A short one.")[1] == written(folder, "A short one.", "task.long=chunks-again")[1]


def alone_of_the_beginning(held, tokenizer):
    """What is written for the tokens that fit, the others cut."""
    from headstart.generation.encoder_decoder import rewrite

    ids = tokenizer.lay_out(list(tokenizer.tokenize(TEXT).ids)[:tokenizer.room(1)])[0]
    return rewrite(held.loaded, [ids], held.loaded.writing, seed=0)[0][0].text


def test_sources_that_do_not_fit_are_told(folder, tmp_path, headstart):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"source": TEXT}) + "\n" + json.dumps({"source": "A short one."}) + "\n")
    words = ("predict", folder, file, "--task", "summarization", "--set", "generation.new_tokens=4", "--to")
    assert "1 sources are longer than the model takes" in headstart(*words, tmp_path / "a.jsonl")[2]
    code, _, err = headstart(*words, tmp_path / "b.jsonl", "--set", "task.long=chunks")
    assert code == 0 and "longer than the model takes" not in err


@pytest.fixture
def texts(tmp_path):
    place = tmp_path / "texts"
    (place / "deep").mkdir(parents=True)
    for name, text in (("one.txt", "A first text."), ("two.txt", TEXT), ("deep/three.txt", "\ufeffA third text.")):
        (place / name).write_text(text, encoding="utf-8")
    (place / "notes.md").write_text("no text")
    return place


def test_a_folder_of_texts_becomes_a_folder_of_texts(folder, texts, tmp_path, headstart):
    words = ("predict", folder, texts, "--task", "summarization", "--set", "generation.new_tokens=6", "--set", "task.long=chunks", "--to",
             tmp_path / "out")
    code, _, err = headstart(*words)
    assert code == 0 and "wrote 3 texts" in err, err
    found = {str(file.relative_to(tmp_path / "out")): file.read_text() for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert set(found) == {"one.txt", "two.txt", "deep/three.txt"} and not list(tmp_path.glob("*.part"))
    assert found["two.txt"].strip() == written(folder, TEXT, "task.long=chunks")[1]
    assert found["deep/three.txt"].strip() == written(folder, "A third text.")[1]
    (tmp_path / "out" / "two.txt").write_text("mine")
    code, _, err = headstart(*words)
    assert code == 73 and "--overwrite" in err and (tmp_path / "out" / "two.txt").read_text() == "mine"
    assert headstart(*words, "--overwrite")[0] == 0 and (tmp_path / "out" / "two.txt").read_text() == found["two.txt"]


def test_texts_that_cannot_be_used_are_told_and_nothing_is_written(folder, texts, tmp_path, headstart):
    (texts / "bad.txt").write_bytes(b"\xff\xfe\xff")
    (texts / "empty.txt").write_text(" \n")
    code, _, err = headstart("predict", folder, texts, "--task", "summarization", "--to", tmp_path / "out")
    assert code == 65 and "bad.txt" in err and "empty.txt" in err and not (tmp_path / "out").exists()
    assert headstart("predict", folder, texts, "--task", "summarization")[0] == 2


def test_a_stop_ends_the_text_before_it(folder, headstart):
    (whole,) = product.load(str(folder), "summarization").generate(["A cat."], new_tokens=12)
    stop = whole["prediction"][3:6]
    (row,) = product.load(str(folder), "summarization").generate(["A cat."], new_tokens=12, stop=[stop])
    assert row["prediction"] == whole["prediction"][:whole["prediction"].find(stop)].rstrip() and row["ended"] == "stop"
    assert len(row["tokens"]) < len(whole["tokens"])


def test_a_longer_text_than_there_are_positions_is_refused(folder, tmp_path, headstart):
    code, _, err = headstart("predict", folder, "--task", "summarization", "--value", "source=x", "--set", "generation.new_tokens=128")
    assert code == 78 and "at most 127" in err
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"source": text, "target": "x"}) + "\n" for text in tiny.texts(20)))
    code, _, err = headstart("finetune", file, "--model", folder, "--to", tmp_path / "run", "--set", "generation.new_tokens=500")
    assert code == 78 and "at most 127" in err


def test_more_beams_than_memory_holds_are_refused_before_anything_is_written(folder, headstart):
    code, _, err = headstart("predict", folder, "--task", "summarization", "--value", "source=x", "--set", "generation.beams=100000000")
    assert code == 78 and "GiB" in err and "generation.beams" in err


@pytest.mark.parametrize("more", [{}, {"sample": True}, {"beams": 2}])
def test_scores_that_are_no_numbers_are_told(folder, more):
    from headstart.errors import Exit, UserError

    held = product.load(str(folder), "summarization")
    with torch.no_grad():
        held.loaded.module.final_logits_bias.fill_(float("nan"))
    with pytest.raises(UserError, match="no numbers") as caught:
        held.generate(["A cat."], new_tokens=4, **more)
    assert caught.value.exit is Exit.DATA


def test_targets_are_cut_by_what_the_decoder_takes_not_by_the_sources(tmp_path, headstart):
    """Short sources and long targets: the target's limit is the decoder's own."""
    place = tiny_writers.folder("led", tmp_path / "led")
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"source": f"{n} {n}", "target": f"{text} {n}"}) + "\n" for n, text in enumerate(tiny.texts(20, seed=1))))
    code, _, err = headstart("finetune", file, "--task", "text-to-text", "--model", place, "--to", tmp_path / "run", "--epochs", "1",
                             "--set", "evaluation.resamples=0", "--set", "generation.new_tokens=4")
    assert code == 0, err
    first = json.loads((tmp_path / "run" / "first_batch.json").read_text())
    longest = max(len(one["targets"].get("label", [])) for one in first["features"])
    assert longest > 20 and "longest input 8 tokens" in err, err
