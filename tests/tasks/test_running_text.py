import json
import math
from random import Random

import numpy as np
import pytest
import tiny
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headstart.contract import Row
from headstart.data.examples import read_examples
from headstart.data.readers.table_builder import TextReading
from headstart.data.splits import cut_document
from headstart.data.table import open_table
from headstart.errors import UserError
from headstart.models.loading.load import load
from headstart.prediction.torch_runtime import torch_predictor
from headstart.settings import Data
from headstart.tasks import find
from headstart.tasks.language_model import LanguageModel
from headstart.tasks.masked_language_model import MaskedLanguageModel
from headstart.tasks.shared import sentence_pairs

LINES = st.lists(st.one_of(st.sampled_from(["", " ", "\t", "ROMEO.", "é", "x" * 900, "東京" * 30]),
                           st.sampled_from(tiny.sentences())), min_size=1, max_size=60)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
READING = TextReading("blocks")
BLOCK_TASKS = ("language-model", "masked-language-model", "replaced-token-detection")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    parent = tmp_path_factory.mktemp("running")
    heads = {"gpt2": "causal-language-model", "transfo-xl": "causal-language-model", "bert": "masked-language-model",
             "electra": "replaced-token"}
    return {family: tiny.model_folder(family, parent / family, head) for family, head in heads.items()}


@pytest.fixture(scope="module")
def models(folders):
    return {family: load(str(folder), None, seed=0) for family, folder in folders.items()}


def book(sentences: int = 400, seed: int = 0) -> str:
    """Running text, wrapped at 60, with blank lines between paragraphs."""
    import textwrap

    rng = Random(seed)
    paragraphs = [" ".join(rng.choices(tiny.sentences(), k=8)) for _ in range(sentences // 8)]
    return "\n\n".join("\n".join(textwrap.wrap(paragraph, 60)) for paragraph in paragraphs) + "\n"


def learned(task):
    return task.with_learned(task.learn([]))


def pieces(task, path, **data):
    return read_examples(task, str(path), Data(**data), columns={}, training=True).examples


def test_joined_again_the_pieces_are_the_text(tmp_path):
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(LINES, ENDS, st.booleans())
    def check(lines, end, has_final_end):
        text = end.join(lines) + (end if has_final_end else "")
        if not text.strip():
            return
        path = tmp_path / "book.txt"
        path.write_bytes(text.encode())
        table = open_table(str(path), Data(rows="document"), text_reading=READING)
        plain = text.replace("\r\n", "\n").replace("\r", "\n")
        assert "".join(record.values[0] for record in table) == plain
        assert [record.values[2] for record in table] == [False] * (len(table) - 1) + [True]
        for record in table:  # a piece's line is where it begins
            assert record.line == 1 + plain[:plain.index(record.values[0])].count("\n") or plain.count(
                record.values[0]) > 1

    check()


@pytest.mark.parametrize("name", BLOCK_TASKS)
def test_the_blocks_of_a_document_are_its_tokens(name, models, tmp_path):
    model = models[{"language-model": "gpt2", "masked-language-model": "bert", "replaced-token-detection": "electra"}[name]]
    task, tokenizer = find(name)(), model.tokenizer.with_max_length(24)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(LINES, ENDS)
    def check(lines, end):
        text = end.join(lines)
        if not text.strip():
            return
        (tmp_path / "book.txt").write_bytes(text.encode())
        blocks = task.compose(pieces(task, tmp_path / "book.txt", rows="document"), tokenizer, Random(0))
        plain = text.replace("\r\n", "\n").replace("\r", "\n")
        expected = list(tokenizer.tokenize(plain).ids)
        if name == "language-model":
            expected.append(tokenizer.end_id)
            features = [task.encode(block, tokenizer, Random(0)) for block in blocks]
            labels = [label for (feature,) in features for label in feature.targets["label"].value]
            assert labels == expected and max(len(feature) for (feature,) in features) <= 24
            evaluated = [feature for block in blocks for feature in task.encode(block, tokenizer)]
            assert [label for feature in evaluated for label in feature.targets["label"].value] == expected
            assert max(map(len, evaluated)) <= 24
        assert [token for block in blocks for token in block.block.ids] == expected
        assert "".join(block.text for block in blocks) == plain
        words = sum(len(block.text.split()) - block.block.continues_word for block in blocks)
        assert words == len(plain.split())
        spelled = [block.text[start:end] for block in blocks for start, end in block.block.offsets]
        if name != "language-model":  # offsets point into the block's own text
            assert spelled == [plain[start:end] for start, end in tokenizer.tokenize(plain).offsets]

    check()


def test_a_slice_and_blocks_from_behind_are_the_same_blocks(models, tmp_path):
    (tmp_path / "book.txt").write_text(book(40))
    blocks = LanguageModel().compose(pieces(LanguageModel(), tmp_path / "book.txt"), models["gpt2"].tokenizer, Random(0))
    assert list(blocks)[-1] == blocks[-1] == blocks[len(blocks) - 1] and blocks[1:3] == [blocks[1], blocks[2]]
    with pytest.raises(IndexError):
        blocks[len(blocks)]


def test_separate_blocks_are_those_of_run_clm(models, tmp_path):
    (tmp_path / "book.txt").write_text(book(80))
    tokenizer, task = models["gpt2"].tokenizer, LanguageModel(LanguageModel.Settings(blocks="separate"))
    blocks = task.compose(pieces(task, tmp_path / "book.txt"), tokenizer, Random(0))
    ids = tokenizer.hf_tokenizer(book(80), verbose=False)["input_ids"]
    expected = [ids[start:start + tiny.POSITIONS] for start in range(0, len(ids), tiny.POSITIONS)]
    for rng in (Random(0), None):
        features = [task.encode(block, tokenizer, rng) for block in blocks]
        assert [list(feature.ids) for (feature,) in features] == expected
        assert [list(feature.targets["label"].value) for (feature,) in features] == [block[1:] for block in expected]


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.9])
def test_perplexity_is_that_of_plain_windows_over_the_document(overlap, models, tmp_path):
    (tmp_path / "book.txt").write_text(book(40))
    model, task = models["gpt2"], learned(LanguageModel(LanguageModel.Settings(overlap=overlap)))
    tokenizer, length = model.tokenizer, tiny.POSITIONS
    predictor = torch_predictor(task, model, batch_tokens=4096)
    blocks = predictor.compose(pieces(task, tmp_path / "book.txt"), seed=0)
    losses = [prediction.detail for prediction in predictor.predict(blocks)]
    ids = [tokenizer.start_id, *tokenizer.tokenize(book(40)).ids, tokenizer.end_id]
    context, expected, count = max(1, round(length * overlap)), 0.0, 0
    context = min(context, length - 1)
    for begin in range(1, len(ids), length - 1):  # block by block, each token after at least `context` others
        end, place = min(begin + length - 1, len(ids)), begin
        while place < end:
            start = max(0, place - context)
            stop = min(end, start + length)
            with torch.inference_mode():
                logits = model.module(torch.tensor([ids[start:stop]])).logits[0].log_softmax(-1)
            expected -= sum(float(logits[token - start - 1, ids[token]]) for token in range(place, stop))
            count, place = count + stop - place, stop
    assert count == len(ids) - 1 == sum(loss["count"] for loss in losses)
    assert sum(loss["loss"] for loss in losses) == pytest.approx(expected, rel=1e-4)


def test_a_model_with_memory_reads_the_blocks_of_a_document_as_one_stream(models, tmp_path):
    (tmp_path / "book.txt").write_text(book(24))
    model, task = models["transfo-xl"], learned(LanguageModel())
    model.module.eval()
    predictor = torch_predictor(task, model, batch_tokens=4096)
    model.tokenizer = model.tokenizer.with_max_length(16)
    blocks = predictor.compose(pieces(task, tmp_path / "book.txt"), seed=0)
    assert len(blocks) > 3
    loss = sum(prediction.detail["loss"] for prediction in predictor.predict(blocks))
    ids = torch.tensor([[0, *model.tokenizer.tokenize(book(24)).ids, 0]])
    memory, expected = None, 0.0
    for start in range(0, ids.shape[1] - 1, 15):
        segment = ids[:, start:min(start + 15, ids.shape[1] - 1)]
        with torch.inference_mode():
            output = model.module(segment, mems=memory)
        memory = output.mems
        expected -= float(output.logits[0].gather(1, ids[0, start + 1:start + 1 + segment.shape[1]][:, None]).sum())
    assert loss == pytest.approx(expected, rel=1e-4)


def test_paragraphs_are_documents_and_lines_stay_lines(models, tmp_path):
    (tmp_path / "book.txt").write_text("\n\nOne a.\nOne b.\n\n \nTwo.\n\nThree.")
    task, tokenizer = LanguageModel(), models["gpt2"].tokenizer
    blocks = task.compose(pieces(task, tmp_path / "book.txt", rows="paragraphs"), tokenizer, Random(0))
    assert [block.text for block in blocks] == ["One a.\nOne b.", "Two.", "Three."]
    for block in blocks:
        (feature,) = task.encode(block, tokenizer)
        assert feature.ids[0] == tokenizer.start_id and feature.targets["label"].value[-1] == tokenizer.end_id
    lines = task.compose(pieces(task, tmp_path / "book.txt", rows="lines"), tokenizer, Random(0))
    assert [line.text for line in lines] == ["One a.", "One b.", "Two.", "Three."]


def test_a_line_that_cannot_be_used_is_told_with_its_number_and_parts_the_document(models, tmp_path):
    (tmp_path / "book.txt").write_text(book(80) + "a bad \0 line\n" + book(80))
    reading = read_examples(LanguageModel(), str(tmp_path / "book.txt"), Data(rows="document"), columns={}, training=True)
    (fault,) = reading.findings
    assert (fault.code, fault.line) == ("E106", book(80).count("\n") + 1)
    tokenizer = models["gpt2"].tokenizer
    blocks = LanguageModel().compose(reading.examples, tokenizer, Random(0))
    assert {block.block.document for block in blocks} == {0, 1}
    assert "".join(block.text for block in blocks) == 2 * book(80)


@given(st.integers(1, 300), st.sampled_from([(0.8, 0.1, 0.1), (0.9, 0.1), (0.5, 0.5, 0.0), (0.98, 0.01, 0.01)]),
       st.integers(0, 10**6))
def test_a_document_is_cut_in_order_and_each_split_has_a_part(count, shares, seed):
    lengths = np.random.default_rng(seed).integers(1, 50, count)
    parts = cut_document(np.arange(count), lengths, shares)
    assert np.concatenate(parts).tolist() == list(range(count)) and len(parts) == len(shares)
    assert all(len(part) for part, share in zip(parts, shares, strict=True) if share) or count < len(shares)
    if count > 100:
        assert abs(lengths[parts[0]].sum() / lengths.sum() - shares[0]) < 0.05


FLAGS = ["--epochs", 1, "--set", "evaluation.resamples=10", "--set", "data.max_length=32"]


def test_a_run_reads_a_book_as_one_text_and_says_so(folders, tmp_path, headstart):
    (tmp_path / "book.txt").write_text(book())
    code, _, stderr = headstart("finetune", tmp_path / "book.txt", "--task", "language-model", "--model",
                                folders["gpt2"], "--to", tmp_path / "run", *FLAGS, "--set",
                                "evaluation.generated_samples=0")
    assert code == 0, stderr
    assert "one running text (data.rows=document)" in stderr and "--set data.rows=lines" in stderr
    assert "the first 80% of the text are train" in stderr and "The first" not in stderr
    assert "first of" in stderr and book()[:30] in stderr  # the first block, in words
    run = tmp_path / "run"
    splits = json.loads((run / "data.json").read_text())["splits"]
    rows = [splits[name]["rows"] for name in ("train", "dev", "test")]
    assert [row for part in rows for row in part] == list(range(sum(map(len, rows)))) and min(map(len, rows)) > 1
    assert 'rows = "document"' in (run / "settings.toml").read_text()
    first = json.loads((run / "first_batch.json").read_text())["features"][0]
    assert len(first["ids"]) == 32
    scores = json.loads((run / "scores.json").read_text())
    assert "3-gram with back-off" in scores["baselines"]
    code, stdout, stderr = headstart("evaluate", run, tmp_path / "book.txt", "--json", "--set",
                                     "evaluation.resamples=0")
    assert code == 0 and "one running text" in stderr
    assert math.isfinite(json.loads(stdout)["scores"]["test"]["perplexity"]["value"])
    code, stdout, _ = headstart("predict", run, tmp_path / "book.txt", "--to", tmp_path / "lines.jsonl")
    assert code == 0 and len((tmp_path / "lines.jsonl").read_text().splitlines()) == len(
        [line for line in book().splitlines() if line])
    code, _, stderr = headstart("predict", run, tmp_path / "book.txt", "--to", tmp_path / "whole.jsonl", "--set",
                                "data.rows=document")
    (row,) = [json.loads(line) for line in (tmp_path / "whole.jsonl").read_text().splitlines()]
    assert code == 0 and row["text"] == book().rstrip("\n") and row["perplexity"] > 1


@pytest.mark.parametrize(("task", "head"), [("masked-language-model", "masked-language-model"),
                                            ("replaced-token-detection", "replaced-token"),
                                            ("bert-pretraining", "pre-training"), ("next-sentence", "next-sentence")])
def test_every_task_of_texts_trains_on_a_book(task, head, folders, tmp_path, headstart):
    (tmp_path / "book.txt").write_text(book(240))
    family = "electra" if head == "replaced-token" else "bert"
    model = folders[family] if family == "electra" or head == "masked-language-model" else tiny.model_folder(
        "bert", tmp_path / "m", head)
    code, _, stderr = headstart("finetune", tmp_path / "book.txt", "--task", task, "--model", model, "--to",
                                tmp_path / "run", *FLAGS)
    assert code == 0 and "one running text" in stderr, stderr
    assert ("elsewhere in it" in stderr) == (task in ("bert-pretraining", "next-sentence"))


def test_a_folder_of_texts_is_a_document_a_file(folders, tmp_path, headstart):
    (tmp_path / "books").mkdir()
    for number in range(24):
        (tmp_path / "books" / f"{number:02}.txt").write_text(book(16, seed=number))
    examples = pieces(LanguageModel(), tmp_path / "books")
    assert {example.piece.document for example in examples} == {f"{number:02}.txt" for number in range(24)}
    code, _, stderr = headstart("finetune", tmp_path / "books", "--task", "language-model", "--model", folders["gpt2"],
                                "--to", tmp_path / "run", *FLAGS, "--set", "evaluation.generated_samples=0", "--set",
                                "evaluation.baselines=false", "--set", "data.slice_by=document")
    assert code == 0 and "of 24 documents, whole ones are drawn" in stderr, stderr
    splits = json.loads((tmp_path / "run" / "data.json").read_text())["splits"]
    names = [{examples[row].piece.document for row in splits[name]["rows"]} for name in ("train", "dev", "test")]
    assert not names[0] & names[1] and not names[0] & names[2] and not names[1] & names[2] and all(names)
    assert any(name.startswith("dev/") for name in json.loads((tmp_path / "run" / "scores.json").read_text()))


def test_next_sentences_of_one_document_are_neither_the_chunk_nor_what_follows_it(models):
    from headstart.tasks.next_sentence import NextSentence

    text = " ".join(f"Sentence number {number} stands here." for number in range(40))
    task = NextSentence()
    example = task.read(Row(0, {"text": text, "document": "0"}))
    for seed in range(20):
        for pair in task.compose([example], models["bert"].tokenizer, Random(seed)):
            first, second = (int(part.split()[2]) for part in (pair.text, pair.pair))
            assert (second == first + 1) == (pair.follows == sentence_pairs.IS_NEXT) and second != first


def test_data_rows_is_refused_where_nothing_reads_it(tmp_path, headstart, reviews, folders):
    (tmp_path / "book.txt").write_text(book(40))
    with pytest.raises(UserError, match="not plain text"):
        pieces(MaskedLanguageModel(), reviews, rows="document")
    code, _, stderr = headstart("finetune", reviews, "--set", "data.rows=document", "--to", tmp_path / "run", "--model",
                                folders["bert"])
    assert code == 78 and "data.rows" in stderr
