"""The file gives what torch gives, for every family and head that is exported, at any batch size and length."""

import dataclasses
import os
import random

import numpy as np
import pytest
import tiny

from headstart.contract import Feature
from headstart.export.graph import OnnxGraph, write_onnx
from headstart.export.smaller import write_smaller
from headstart.models.loading.load import load
from headstart.prediction import lent_weights
from headstart.prediction.export_facts import ExportFacts, facts_from_json
from headstart.prediction.onnx_runtime import OnnxRuntime, open_session, similar_batches
from headstart.prediction.torch_runtime import TorchRuntime

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")
LABELLED = ("sequence-classification", "token-classification", "question-answering", "multiple-choice")
ENCODERS = ("bert", "distilbert", "roberta", "xlm-roberta", "electra", "modernbert", "albert", "mpnet", "deberta-v2")
OTHERS = ("gpt2", "llama", "openai-gpt", "xlnet")
QUICK = [("bert", "sequence-classification"), ("distilbert", "question-answering")]
TABLE = [pair for pair in [(family, head) for family in ENCODERS + OTHERS for head in LABELLED]
         + [("bert", "next-sentence"), ("bert", "embedding"), ("mpnet", "embedding")] if pair not in QUICK]


def features(tokenizer, count, longest, seed):
    rng = random.Random(seed)
    ordinary = [tokenizer.random_token_id(rng) for _ in range(40)]
    result = []
    for _ in range(count):
        first, second = (rng.choices(ordinary, k=rng.randint(1, longest)) for _ in range(2))
        ids, types = tokenizer.with_special_tokens(*((first, second) if rng.random() < 0.5 else (first,)))
        result.append(Feature(ids, types))
    return result


def runtimes(family, head, folder, precision="fp32"):
    model = load(str(tiny.model_folder(family, folder / "model", head)), None, seed=0)
    graph, file = OnnxGraph(model), folder / "model.onnx"
    write_onnx(graph, file)
    if precision != "fp32":
        write_smaller(file, folder / "smaller.onnx", precision)
        file = folder / "smaller.onnx"
    facts = ExportFacts(precision, tuple(graph.input_names), graph.exported_outputs(), model.head, model.tokenizer.pad_id)
    facts = facts_from_json(facts.json(), "headstart.json")
    return TorchRuntime(model, 2048), OnnxRuntime(open_session(file, 1), facts, model.tokenizer, 64, "")


def largest_difference(first, second, rows):
    outputs = dict(first.outputs(rows)), dict(second.outputs(rows))
    assert outputs[0].keys() == outputs[1].keys() == set(range(len(rows)))
    assert all(outputs[0][index].keys() == outputs[1][index].keys() for index in outputs[0])
    return max(np.abs(values - outputs[1][index][name]).max() for index, row in outputs[0].items()
               for name, values in row.items())


def test_every_text_is_in_one_batch_and_padding_is_small():
    rng = random.Random(0)
    rows = [Feature([1] * rng.choice([3, 8, 13, 14, 15, 40, 90])) for _ in range(300)]
    batches = list(similar_batches(rows, 1000))
    assert sorted(position for batch in batches for position in batch) == list(range(300))
    lengths = [[len(rows[position]) for position in batch] for batch in batches]
    assert all(len(batch) * max(batch) <= 1000 for batch in lengths)
    assert sum(len(batch) * max(batch) for batch in lengths) < 1.1 * sum(map(sum, lengths))


def test_the_file_tells_nothing_of_the_machine_that_wrote_it(tmp_path):
    runtimes("bert", "sequence-classification", tmp_path)
    content = (tmp_path / "model.onnx").read_bytes()
    for word in (os.sep + os.path.join("export", "graph.py"), "site-packages", "stack_trace", str(tmp_path)):
        assert word.encode() not in content, word


@pytest.mark.parametrize(("family", "precision"), [("bert", "fp32"), ("bert", "int8"), ("gpt2", "fp16")])
def test_weights_that_are_lent_give_the_bits_of_a_session_with_the_file(family, precision, tmp_path, monkeypatch):
    monkeypatch.setattr(lent_weights, "SMALLEST", 100)
    _, lent = runtimes(family, "sequence-classification", tmp_path, precision)
    assert len(lent.session.lent_weights) > 5
    (file,) = tmp_path.glob("smaller.onnx" if precision != "fp32" else "model.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    rows = features(lent.tokenizer, 9, 12, seed=1)
    outputs = dict(dataclasses.replace(lent, session=session).outputs(rows))
    with file.open("r+b") as stream:  # what happens to the file later is nothing to a session
        stream.write(bytes(file.stat().st_size))
    for _ in range(2):
        for index, output in lent.outputs(rows):
            assert {name: values.tobytes() for name, values in output.items()} == {
                name: values.tobytes() for name, values in outputs[index].items()}


def check(family, head, folder):
    torch_runtime, onnx_runtime = runtimes(family, head, folder)
    for count, longest in ((1, 1), (1, 9), (7, 3), (9, 12)):
        rows = features(torch_runtime.tokenizer, count, longest, seed=count)
        assert largest_difference(torch_runtime, onnx_runtime, rows) <= 1e-4


@pytest.mark.parametrize(("family", "head"), QUICK)
def test_the_file_gives_what_torch_gives(family, head, tmp_path):
    check(family, head, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "head"), TABLE)
def test_the_file_gives_what_torch_gives_for_every_family(family, head, tmp_path):
    check(family, head, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize("family", ENCODERS + OTHERS)
def test_smaller_files_give_almost_the_same(family, precision, tmp_path):
    torch_runtime, onnx_runtime = runtimes(family, "sequence-classification", tmp_path, precision)
    rows = features(torch_runtime.tokenizer, 9, 12, seed=3)
    spread = np.std([output["logits"] for _, output in torch_runtime.outputs(rows)])
    assert largest_difference(torch_runtime, onnx_runtime, rows) < (0.02 if precision == "fp16" else 1) * max(1, spread)
