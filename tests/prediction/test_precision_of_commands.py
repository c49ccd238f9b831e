"""What a user sees of precision: a line on the console, a flag, the signature of scores, half-size models."""

import json

import numpy as np
import pytest
import torch
import transformers
from conftest import QUICK_FLAGS, review_rows, write_csv

import headstart as package
from headstart.models import precision_choice
from headstart.models.precision import in_precision

BF16 = "the processor has avx512_bf16"


@pytest.fixture
def bf16(monkeypatch):
    """A processor that multiplies bf16."""
    monkeypatch.setattr(precision_choice, "multiplies_bf16", lambda device: (True, BF16))


def predicted(headstart, run, path, to, *flags):
    code, _, stderr = headstart("predict", run, path, "--to", to, *flags)
    assert code == 0, stderr
    return [json.loads(line) for line in to.read_text().splitlines()], stderr


def test_predictions_are_in_bf16_where_the_processor_has_it_and_in_fp32_by_one_flag(bf16, trained_run, headstart,
                                                                                    tmp_path):
    path = write_csv(tmp_path / "new.csv", review_rows(400, seed=3))
    half, stderr = predicted(headstart, trained_run[0], path, tmp_path / "half.jsonl")
    assert f"precision bf16: {BF16}" in stderr and "--precision fp32" in stderr
    again, _ = predicted(headstart, trained_run[0], path, tmp_path / "again.jsonl")
    assert again == half
    full, stderr = predicted(headstart, trained_run[0], path, tmp_path / "full.jsonl", "--precision", "fp32")
    assert "precision fp32: you chose it" in stderr
    by_setting, _ = predicted(headstart, trained_run[0], path, tmp_path / "set.jsonl", "--set",
                              "evaluation.precision=fp32")
    assert by_setting == full != half
    same = [a["prediction"] == b["prediction"] for a, b in zip(half, full, strict=True)]
    assert np.mean(same) >= 0.995
    differences = [abs(a["probabilities"][label] - b["probabilities"][label])
                   for a, b in zip(half, full, strict=True) for label in a["probabilities"]]
    assert max(differences) <= 2e-2
    model = package.load(trained_run[0])
    assert model.predictor().precision == "bf16" and package.load(
        trained_run[0], precision="fp32").predictor().precision == "fp32"
    assert model.predictor().fingerprint() != model.predictor(precision="fp32").fingerprint()


def test_scores_are_in_fp32_unless_asked_for_and_say_so(bf16, trained_run, headstart, tmp_path):
    path = write_csv(tmp_path / "labelled.csv", review_rows(60, seed=4))
    for flags, name in (((), "fp32"), (("--precision", "bf16"), "bf16")):
        code, stdout, stderr = headstart("evaluate", trained_run[0], path, "--json", *flags)
        assert code == 0 and f"precision {name}" in stderr
        scores = json.loads(stdout)["scores"]["test"]
        assert all(f"| precision {name} |" in score["signature"] for score in scores.values())
    run_scores = json.loads((trained_run[0] / "scores.json").read_text())
    assert all("| precision fp32 |" in score["signature"] for score in run_scores["dev"].values())
    assert not any("precision fp32" in score["signature"] for score in next(iter(
        run_scores["baselines"].values()))["scores"].values())
    metadata = json.loads((trained_run[0] / "model" / "headstart.json").read_text())
    assert metadata["precision"] == {"scores": "fp32", "weights": "fp32"}


def test_what_this_processor_cannot_multiply_is_told_with_what_happens_instead(trained_run, headstart, tmp_path):
    path = write_csv(tmp_path / "new.csv", review_rows(5, seed=3))
    for setting, words in (("bf16", "emulated, it would be slower"), ("fp16", "needs an NVIDIA GPU")):
        _, stderr = predicted(headstart, trained_run[0], path, tmp_path / f"{setting}.jsonl", "--precision", setting)
        assert "precision fp32" in stderr and words in stderr
    code, _, stderr = headstart("predict", trained_run[0], path, "--precision", "fp64")
    assert code == 2 and "fp64" in stderr
    code, _, stderr = headstart("inspect", trained_run[0], "a text", "--set", "evaluation.precision=bf16")
    assert code == 78 and "never reads evaluation.precision" in stderr
    _, _, stderr = headstart("inspect", trained_run[0], "a text")
    assert "computed in fp32" in stderr


def test_vectors_in_bf16_are_those_in_fp32(bf16, trained_run, headstart, tmp_path):
    path = write_csv(tmp_path / "new.csv", review_rows(50, seed=3))
    for name in ("bf16", "fp32"):
        code, _, stderr = headstart("embed", trained_run[0], path, "--text", "text", "--normalise", "--precision", name,
                                    "--to", tmp_path / f"{name}.npy")
        assert code == 0 and f"precision {name}" in stderr
    half, full = np.load(tmp_path / "bf16.npy"), np.load(tmp_path / "fp32.npy")
    assert half.dtype == np.float32 and (half * full).sum(axis=1).min() > 0.999 and not np.array_equal(half, full)
    assert np.array_equal(package.load_backbone(trained_run[0]).embed(["a text"]),
                          package.load_backbone(trained_run[0], precision="bf16").embed(["a text"]))


@pytest.mark.parametrize(("dtype", "torch_dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_a_run_saves_half_the_bytes_and_is_scored_as_it_is_saved(dtype, torch_dtype, tiny_bert, headstart, tmp_path):
    path = write_csv(tmp_path / "reviews.csv", review_rows(90))
    code, _, stderr = headstart("finetune", path, "--model", tiny_bert, "--to", tmp_path / "run", *QUICK_FLAGS, "--set",
                                f"model.save_dtype={dtype}")
    assert code == 0, stderr
    folder = tmp_path / "run" / "model"
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    assert plain.dtype == torch_dtype == plain.config.dtype
    assert json.loads((folder / "headstart.json").read_text())["precision"]["weights"] == dtype
    weights = sum(weight.numel() for weight in plain.parameters())
    assert (folder / "model.safetensors").stat().st_size < 2 * weights + 20_000
    rows = [json.loads(line) for line in (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()][:10]
    texts = [text for text, _ in review_rows(90)]
    model = package.load(tmp_path / "run")
    answers = model.predict([texts[row["row"]] for row in rows])
    expected = [row["probability"] for row in rows]
    assert [answer["probability"] for answer in answers] == pytest.approx(expected, abs=1e-5)
    stored = package.load(tmp_path / "run", dtype="auto")
    assert stored.predictor(precision="fp32").precision == f"fp32, weights {dtype}"
    if dtype == "bf16":
        half = in_precision(stored.transformer, "bf16")
        assert next(half.module.parameters()).dtype == torch.bfloat16


def test_a_model_is_saved_again_in_another_type(trained_run, tmp_path):
    model = package.load(trained_run[0])
    model.save(tmp_path / "half", dtype="bf16")
    half = package.load(tmp_path / "half", dtype="bf16")
    half.save(tmp_path / "full")
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "full")
    assert {weight.dtype for weight in plain.parameters()} == {torch.float32}
    texts = [text for text, _ in review_rows(20, seed=8)]
    expected = [row["probability"] for row in model.predict(texts)]
    for folder in ("half", "full"):
        answers = package.load(tmp_path / folder).predict(texts)
        assert [row["probability"] for row in answers] == pytest.approx(expected, abs=2e-2)


def test_training_keeps_its_weights_in_fp32_and_says_so(tiny_bert, headstart, reviews, tmp_path):
    code, _, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", *QUICK_FLAGS,
                                "--set", "model.dtype=bf16")
    assert code == 78 and "training keeps its weights in fp32" in stderr


def test_a_run_is_scored_in_the_precision_that_was_asked_for(bf16, tiny_bert, headstart, reviews, tmp_path):
    code, _, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", *QUICK_FLAGS,
                                "--set", "evaluation.precision=bf16")
    assert code == 0 and "scores: precision bf16: you chose it" in stderr
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert all("| precision bf16 |" in score["signature"] for score in scores["dev"].values())
