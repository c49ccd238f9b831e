"""Sources that are longer than the model takes: in parts of whole sentences, nothing lost; folders of texts; stops;
limits.
"""

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
    return tiny_writers.model_folder("bart", tmp_path_factory.mktemp("bart"), seed=2)


def words_in(text):
    return len(text.split())


@pytest.mark.parametrize("max_size", [3, 8, 20, 10_000])
@pytest.mark.parametrize("text", [TEXT, "One. Two two two two two two two two. Three!", "x" * 50,
                                  "A line\n\nand another. " * 9, "好。我们去。" * 5])
def test_every_letter_is_in_exactly_one_part_and_parts_fit(text, max_size):
    size = len if len(text.split()) < 2 else words_in
    text_chunks = chunks(text, size, max_size)
    assert "".join(re.sub(r"\s", "", chunk) for chunk in text_chunks) == re.sub(r"\s", "", text)
    assert all(size(chunk) <= max_size for chunk in text_chunks)


def test_parts_are_cut_between_sentences_where_they_can_be():
    assert chunks("A b c. D e f. G h i.", words_in, 6) == ["A b c. D e f.", "G h i."]
    assert chunks("A b c d e. F.", words_in, 3) == ["A b c", "d e. F."]


def model_and_prediction(folder, text, *assignments):
    model = product.load(str(folder), "summarization")
    model.set(dict(pair.split("=") for pair in ("generation.max_new_tokens=6", *assignments)))
    return model, model.predict([{"source": text}])[0]["prediction"]


def test_texts_of_parts_are_joined_and_written_for_once_more_when_asked(folder):
    model, joined_prediction = model_and_prediction(folder, TEXT, "task.long_source=chunks")
    tokenizer = model.transformer.tokenizer
    source_chunks = chunks(TEXT, lambda text: len(tokenizer.tokenize(text).ids), tokenizer.max_content_length(1))
    assert len(source_chunks) > 2
    chunk_predictions = [model.predict([{"source": chunk}])[0]["prediction"] for chunk in source_chunks]
    assert joined_prediction == " ".join(chunk_predictions)
    assert model_and_prediction(folder, TEXT, "task.long_source=chunks-again")[1] == model.predict(
        [{"source": joined_prediction}])[0]["prediction"]
    assert model_and_prediction(folder, TEXT)[1] == prediction_of_the_truncated_source(model, tokenizer)
    assert model_and_prediction(folder, "A short one.")[1] == model_and_prediction(folder, "A short one.",
                                                                                   "task.long_source=chunks-again")[1]


def prediction_of_the_truncated_source(model, tokenizer):
    """What is written for the tokens that fit, the others cut."""
    from headstart.generation.encoder_decoder import generate_targets

    ids = tokenizer.with_special_tokens(list(tokenizer.tokenize(TEXT).ids)[:tokenizer.max_content_length(1)])[0]
    return generate_targets(model.transformer, [ids], model.generation, seed=0)[0][0].text


def test_sources_that_do_not_fit_are_reported(folder, tmp_path, headstart):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"source": TEXT}) + "\n" + json.dumps({"source": "A short one."}) + "\n")
    arguments = ("predict", folder, file, "--task", "summarization", "--set", "generation.max_new_tokens=4", "--to")
    assert "1 sources are longer than the model takes" in headstart(*arguments, tmp_path / "a.jsonl")[2]
    code, _, stderr = headstart(*arguments, tmp_path / "b.jsonl", "--set", "task.long_source=chunks")
    assert code == 0 and "longer than the model takes" not in stderr


@pytest.fixture
def texts(tmp_path):
    folder = tmp_path / "texts"
    (folder / "deep").mkdir(parents=True)
    for name, text in (("one.txt", "A first text."), ("two.txt", TEXT), ("deep/three.txt", "\ufeffA third text.")):
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "notes.md").write_text("no text")
    return folder


def test_a_folder_of_texts_becomes_a_folder_of_texts(folder, texts, tmp_path, headstart):
    arguments = ("predict", folder, texts, "--task", "summarization", "--set", "generation.max_new_tokens=6", "--set",
                 "task.long_source=chunks", "--to", tmp_path / "out")
    code, _, stderr = headstart(*arguments)
    assert code == 0 and "wrote 3 texts" in stderr, stderr
    output_texts = {str(file.relative_to(tmp_path / "out")): file.read_text() for file in (tmp_path / "out").rglob("*")
                    if file.is_file()}
    assert set(output_texts) == {"one.txt", "two.txt", "deep/three.txt"} and not list(tmp_path.glob("*.part"))
    assert output_texts["two.txt"].strip() == model_and_prediction(folder, TEXT, "task.long_source=chunks")[1]
    assert output_texts["deep/three.txt"].strip() == model_and_prediction(folder, "A third text.")[1]
    (tmp_path / "out" / "two.txt").write_text("mine")
    code, _, stderr = headstart(*arguments)
    assert code == 73 and "--overwrite" in stderr and (tmp_path / "out" / "two.txt").read_text() == "mine"
    assert headstart(*arguments, "--overwrite")[0] == 0 and (tmp_path / "out"
                                                             / "two.txt").read_text() == output_texts["two.txt"]


def test_texts_that_cannot_be_used_are_reported_and_nothing_is_written(folder, texts, tmp_path, headstart):
    (texts / "bad.txt").write_bytes(b"\xff\xfe\xff")
    (texts / "empty.txt").write_text(" \n")
    code, _, stderr = headstart("predict", folder, texts, "--task", "summarization", "--to", tmp_path / "out")
    assert code == 65 and "bad.txt" in stderr and "empty.txt" not in stderr and not (tmp_path / "out").exists()
    assert headstart("predict", folder, texts, "--task", "summarization")[0] == 2


def test_a_stop_ends_the_text_before_it(folder, headstart):
    (unstopped,) = product.load(str(folder), "summarization").generate(["A cat."], max_new_tokens=12)
    stop = unstopped["prediction"][3:6]
    (row,) = product.load(str(folder), "summarization").generate(["A cat."], max_new_tokens=12, stop=[stop])
    assert row["prediction"] == unstopped["prediction"][:unstopped["prediction"].find(stop)].rstrip() and row[
        "ended"] == "stop"
    assert len(row["tokens"]) < len(unstopped["tokens"])


def test_a_longer_text_than_there_are_positions_is_refused(folder, tmp_path, headstart):
    code, _, stderr = headstart("predict", folder, "--task", "summarization", "--value", "source=x", "--set",
                                "generation.max_new_tokens=128")
    assert code == 78 and "at most 127" in stderr
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"source": text, "target": "x"}) + "\n" for text in tiny.texts(20)))
    code, _, stderr = headstart("finetune", file, "--model", folder, "--to", tmp_path / "run", "--set",
                                "generation.max_new_tokens=500")
    assert code == 78 and "at most 127" in stderr


def test_more_beams_than_memory_holds_are_refused_before_anything_is_written(folder, headstart):
    code, _, stderr = headstart("predict", folder, "--task", "summarization", "--value", "source=x", "--set",
                                "generation.num_beams=100000000")
    assert code == 78 and "GiB" in stderr and "generation.num_beams" in stderr


@pytest.mark.parametrize("settings", [{}, {"do_sample": True}, {"num_beams": 2}])
def test_scores_that_are_not_finite_are_reported(folder, settings):
    from headstart.errors import Exit, UserError

    model = product.load(str(folder), "summarization")
    with torch.no_grad():
        model.transformer.module.final_logits_bias.fill_(float("nan"))
    with pytest.raises(UserError, match="not finite") as error:
        model.generate(["A cat."], max_new_tokens=4, **settings)
    assert error.value.exit is Exit.DATA


def test_targets_are_cut_by_what_the_decoder_takes_not_by_the_sources(tmp_path, headstart):
    """Short sources and long targets: the target's limit is the decoder's own."""
    folder = tiny_writers.model_folder("led", tmp_path / "led")
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"source": f"{index} {index}", "target": f"{text} {index}"}) + "\n"
                            for index, text in enumerate(tiny.texts(20, seed=1))))
    code, _, stderr = headstart("finetune", file, "--task", "text-to-text", "--model", folder, "--to", tmp_path / "run",
                                "--epochs", "1", "--set", "data.max_length=8",
                                "--set", "evaluation.resamples=0", "--set", "generation.max_new_tokens=4")
    assert code == 0, stderr
    first_batch = json.loads((tmp_path / "run" / "first_batch.json").read_text())
    longest_target = max(len(feature["targets"].get("label", [])) for feature in first_batch["features"])
    assert longest_target > 20 and "max_length 8 tokens" in stderr, stderr
