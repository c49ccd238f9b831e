"""What holds on a processor holds on a GPU: `pytest -m gpu`, on a machine that has one (skipped elsewhere).

HEADSTART_GPU_TESTS_ON=cpu runs the same tests on the processor, so that the tests themselves can be tried.
"""

import hashlib
import json
import os

import numpy as np
import pytest
import tiny
import torch
from conftest import review_rows, write_csv

from headstart.contract import HeadSpec, Row
from headstart.data.features.batches import collate
from headstart.data.features.features import Features
from headstart.models.loading.load import load
from headstart.models.packing.attention import packed_attention
from headstart.models.packing.packed_row import pack_segments, segments_of
from headstart.settings import Training
from headstart.tasks.text_classification import TextClassification
from headstart.training import loop
from headstart.training.losses import build_loss
from headstart.training.objectives.objective import total_weight
from headstart.training.precision import autocast

DEVICE = os.environ.get("HEADSTART_GPU_TESTS_ON", "cuda")
FAMILIES = ("bert", "distilbert", "roberta", "gpt2", "modernbert", "llama")
FLAGS = ["--epochs", 3, "--batch-size", 8, "--device", DEVICE, "--set", "evaluation.resamples=5", "--set",
         "evaluation.baselines=false", "--quiet"]
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(),
                                                  reason="no GPU here")]


def prepare(folder, dropout=0.0):
    """The task, a model on the device, and the features of 24 rows."""
    task = TextClassification()
    examples = [task.read(Row(index, {"text": text, "label": label}))
                for index, (text, label) in enumerate(review_rows(24))]
    task = task.with_learned(task.learn(examples))
    model = load(str(folder), task.head(), seed=0, device=DEVICE, dropout=dropout, attention_dropout=dropout)
    return task, model, Features.encode(task, examples, model.tokenizer, seed=0)


def loss_and_gradients(task, model, features, *, packed, precision="fp32"):
    batch = collate(features.of_examples(np.arange(24)), model.layout(packed=packed))
    objective = build_loss(task.head().loss, Training(learning_rate=1e-3), task.learned.counts)
    model.module.zero_grad()
    with autocast(precision, DEVICE):
        loss = objective(model, batch) / total_weight([batch])
    loss.backward()
    return float(loss.detach()), {name: weight.grad.detach().float().cpu() for name, weight in model.module.named_parameters()
                         if weight.grad is not None}


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_rows_give_what_padded_ones_give(family, tmp_path):
    task, model, features = prepare(tiny.model_folder(family, tmp_path))
    if not model.can_pack:
        pytest.skip("this family is not packed")
    padded, padded_gradients = loss_and_gradients(task, model, features, packed=False)
    packed, packed_gradients = loss_and_gradients(task, model, features, packed=True)
    assert packed == pytest.approx(padded, abs=2e-5)
    for name, gradient in padded_gradients.items():
        torch.testing.assert_close(packed_gradients[name], gradient, atol=2e-4, rtol=2e-3, msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window,causal,key_heads", [(None, False, 4), (None, True, 2), (3, False, 4), (3, True, 4)])
def test_attention_on_the_device_is_that_of_the_processor_with_its_gradients(dtype, window, causal, key_heads):
    lengths = [3, 9, 1, 70, 7]
    segments = segments_of(np.asarray(lengths))
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(1, heads, sum(lengths), 16, generator=generator) for heads in (4, key_heads, key_heads)]
    results = []
    for device, type_there in (("cpu", torch.float32), (DEVICE, dtype)):
        inputs = [states.detach().clone().to(device, type_there).requires_grad_() for states in drawn]
        output = packed_attention(*inputs, pack_segments(segments, torch.device(device)), dropout=0.0, scaling=0.25,
                                  window=window, causal=causal)
        output.float().square().sum().backward()
        results.append([output, *(states.grad for states in inputs)])
    for expected, computed in zip(*results, strict=True):
        difference = torch.linalg.norm(computed.detach().float().cpu() - expected) / torch.linalg.norm(expected)
        assert difference < (1e-4 if dtype == torch.float32 else 2e-2)


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_stays_near_fp32(family, tmp_path):
    if DEVICE == "cuda" and not torch.cuda.is_bf16_supported():
        pytest.skip("this GPU has no bf16")
    task, model, features = prepare(tiny.model_folder(family, tmp_path))
    exact, _ = loss_and_gradients(task, model, features, packed=model.can_pack)
    rounded, _ = loss_and_gradients(task, model, features, packed=model.can_pack, precision="bf16")
    assert rounded == pytest.approx(exact, abs=2e-2)


@pytest.mark.skipif(DEVICE != "cuda", reason="fp16 needs a GPU")
def test_fp16_learns_with_a_scaled_loss(tmp_path, tiny_bert, headstart):
    path = write_csv(tmp_path / "reviews.csv", review_rows(60))
    assert headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / "run", *FLAGS, "--set",
                     "training.precision=fp16")[0] == 0
    steps = [event for event in map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines())
             if event["event"] == "step"]
    assert steps[-1]["loss"] < steps[0]["loss"]


def test_a_resumed_run_ends_with_the_same_bits(monkeypatch, tmp_path, tiny_bert, headstart):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=False)
    try:
        path = write_csv(tmp_path / "reviews.csv", review_rows(40))
        assert headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / "straight", *FLAGS)[0] == 0
        original = loop.train_step

        def failing_step(state, *arguments, **options):
            if state.step == 9:
                raise ValueError("power cut")
            return original(state, *arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(loop, "train_step", failing_step)
            assert headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / "cut", *FLAGS)[0] == 70
        assert headstart("resume", tmp_path / "cut")[0] == 0
    finally:
        torch.use_deterministic_algorithms(False)
    straight, resumed = (hashlib.sha256((tmp_path / name / "model" / "model.safetensors").read_bytes()).hexdigest()
                         for name in ("straight", "cut"))
    assert straight == resumed


def test_too_little_memory_halves_the_micro_batch(monkeypatch, tmp_path, tiny_bert, headstart):
    path = write_csv(tmp_path / "reviews.csv", review_rows(40))
    forward, refused = loop.train_step, []

    def small_memory(state, batches, *arguments, **options):
        if max(len(batch.weights) for batch in batches) > 4 and len(refused) < 8:
            refused.append(len(batches))
            if DEVICE == "cuda":
                torch.empty(2**50, dtype=torch.uint8, device=DEVICE)  # a real refusal of the allocator
            raise RuntimeError("out of memory")
        return forward(state, batches, *arguments, **options)

    monkeypatch.setattr(loop, "train_step", small_memory)
    code, _, stderr = headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / "run",
                                *[flag for flag in FLAGS if flag != "--quiet"])
    assert code == 0 and refused and "memory was too small: 4 examples go through the model at once" in stderr


def test_predictions_on_the_device_are_those_of_the_processor(tmp_path, tiny_bert):
    spec = HeadSpec("sequence-classification", 3, ("bad", "good", "mixed"))
    folder = tiny.model_folder("bert", tmp_path)
    features = prepare(folder)[2]
    outputs = []
    for device in ("cpu", DEVICE):
        model = load(str(folder), spec, seed=0, device=device)
        model.module.eval()
        with torch.no_grad():
            batch = collate(features.of_examples(np.arange(24)), model.layout(packed=model.can_pack))
            outputs.append(model.forward(batch)["logits"].float().cpu())
    torch.testing.assert_close(*outputs, atol=1e-4, rtol=1e-4)
