"""LoRA: what is trained, what is saved, that merging changes no answer, that resume is exact, and what is refused."""

import json

import pytest
import tiny
import torch
import transformers
from conftest import write_csv

from headstart.contract import HeadSpec
from headstart.errors import UserError
from headstart.models import lora
from headstart.models.loading.load import load
from headstart.models.loading.weights import quiet
from headstart.settings import Adapter

pytest.importorskip("peft", reason="peft is not installed (pip install 'headstart[lora]')")

CLASSES = HeadSpec("sequence-classification", 3, ("good", "bad", "mixed"), "cross-entropy")
LORA = ["--adapter", "lora", "--set", "adapter.rank=4", "--set", "evaluation.resamples=5", "--set", "evaluation.baselines=false"]


def spec(family):
    return HeadSpec("causal-language-model", 0, loss="vocabulary") if family in tiny.DECODERS and family != "transfo-xl" else CLASSES


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {family: tiny.model_folder(family, tmp_path_factory.mktemp("bases") / family) for family in tiny.FAMILIES}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_adapted_layer_moves_the_answer_and_merging_does_not(family, folders):
    model = load(str(folders[family]), spec(family), seed=0)
    before = {name for name, _ in model.module.named_parameters()}
    words = lora.apply(model, Adapter(rank=2), seed=0)
    assert "% of" in words and words.startswith("LoRA of rank 2 beside")
    ids = torch.tensor([model.tokenizer.tokenize("The gardener waters the roses.").ids])
    first = model.module.eval()(input_ids=ids)[0].detach()
    trained = [(name, weight) for name, weight in model.module.named_parameters() if name not in model.fixed_parameters()]
    assert trained and all("lora_" in name or "modules_to_save" in name for name, _ in trained)
    with torch.no_grad():
        for name, weight in trained:
            if "lora_B" in name:
                weight.normal_(std=0.1, generator=torch.Generator().manual_seed(1))
    model.module(input_ids=ids)[0].square().sum().backward()
    ours = [weight for name, weight in trained if "lora_A" in name]
    assert all(weight.grad is not None for weight in ours) and sum(bool(weight.grad.any()) for weight in ours) >= len(ours) - 2  # a key's may cancel
    moved = model.module(input_ids=ids)[0].detach()
    lora.merge(model)
    merged = model.module(input_ids=ids)[0].detach()
    assert not torch.allclose(first, moved) and torch.allclose(moved, merged, atol=1e-4)
    assert {name for name, _ in model.module.named_parameters()} == before


def with_adapter(base, folder):
    """As peft alone reads it; it still asks transformers by an old name."""
    import peft

    with quiet():
        return peft.PeftModel.from_pretrained(base, str(folder)).eval()


def rows(path):
    from conftest import made_rows

    return write_csv(path, made_rows(60))


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_run_saves_the_adapter_and_a_merged_model_that_answer_alike(family, folders, tmp_path, headstart):
    data = rows(tmp_path / "rows.csv")
    code, _, words = headstart("finetune", data, "--model", folders[family], "--to", tmp_path / "run", "--epochs", 3, *LORA)
    assert code == 0 and "parameters are trained" in words and "batches: packed" in words
    merged = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "run" / "model").eval()
    labels = merged.config.num_labels
    base = transformers.AutoModelForSequenceClassification.from_pretrained(folders[family], num_labels=labels, pad_token_id=merged.config.pad_token_id)
    fed = transformers.AutoTokenizer.from_pretrained(tmp_path / "run" / "model")("broken roses and apples", return_tensors="pt")
    with torch.no_grad():
        untrained = base.eval()(**fed).logits
        beside = with_adapter(base, tmp_path / "run" / "adapter")
        assert torch.allclose(merged(**fed).logits, beside(**fed).logits, atol=1e-4)
        assert not torch.allclose(merged(**fed).logits, untrained, atol=1e-3)
    code, _, _ = headstart("predict", tmp_path / "run", data, "--to", tmp_path / "answers.jsonl")
    kept = {row["row"]: row["prediction"] for row in map(json.loads, (tmp_path / "run" / "predictions.jsonl").read_text().splitlines())}
    new = [json.loads(line)["prediction"] for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert code == 0 and all(new[row] == answer for row, answer in kept.items())
    checkpoint = next((tmp_path / "run" / "checkpoints").glob("update-*"))
    assert (checkpoint / "model.safetensors").stat().st_size * 4 < (tmp_path / "run" / "model" / "model.safetensors").stat().st_size
    code, _, words = headstart("evaluate", tmp_path / "run", data, "--all-checkpoints")
    assert code == 0, words


def test_an_interrupted_run_ends_with_the_same_adapter(folders, tmp_path, headstart, monkeypatch):
    from headstart.runs import fit

    data = rows(tmp_path / "rows.csv")
    words = [data, "--model", folders["distilbert"], "--epochs", 2, "--batch-size", 8, *LORA, "--set", "adapter.dropout=0.1", "--set",
             "training.save_every=2"]
    assert headstart("finetune", *words, "--to", tmp_path / "whole")[0] == 0
    real = fit.save

    def stopping(held):
        real(held)
        held.interrupts.asked = True

    monkeypatch.setattr(fit, "save", stopping)
    assert headstart("finetune", *words, "--to", tmp_path / "parts")[0] == 75
    monkeypatch.setattr(fit, "save", real)
    assert headstart("resume", tmp_path / "parts")[0] == 0
    for name in ("adapter/adapter_model.safetensors", "model/model.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_a_base_that_changed_is_not_gone_on_with(folders, tmp_path):
    from headstart.settings import Training
    from headstart.training.loop import State

    def state(seed):
        model = load(str(tiny.model_folder("bert", tmp_path / f"base-{seed}", seed=seed)), CLASSES, seed=0)
        lora.apply(model, Adapter(), seed=0)
        return State.fresh(model, Training(learning_rate=1e-3), precision="fp32", device="cpu")

    state(0).save(tmp_path, {})
    assert state(0).load(tmp_path) == {}
    with pytest.raises(UserError, match="is not what it was"):
        state(1).load(tmp_path)


def test_a_language_model_learns_beside_frozen_embeddings(folders, tmp_path, headstart):
    (tmp_path / "notes.txt").write_text("\n".join(tiny.texts(40, seed=2)), encoding="utf-8")
    code, _, words = headstart("finetune", tmp_path / "notes.txt", "--task", "language-model", "--model", folders["llama"], "--to", tmp_path / "run",
                                 "--epochs", 3, *LORA, "--set", "adapter.targets=q_proj,v_proj")
    assert code == 0 and "beside 4 layers (q_proj, v_proj)" in words, words
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    scores = [one["scores"]["perplexity"] for one in log if one["event"] == "evaluation"]
    assert scores[-1] < scores[0]
    assert transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model").config.model_type == "llama"
    assert headstart("generate", tmp_path / "run", "The gardener", "--new-tokens", 3)[0] == 0


def test_a_regression_answers_in_its_own_unit_from_the_adapter_too(folders, tmp_path, headstart):
    data = write_csv(tmp_path / "rows.csv", [(text, 100 + 7.5 * len(text)) for text in tiny.texts(50)], ("text", "target"))
    code, _, words = headstart("finetune", data, "--model", folders["bert"], "--to", tmp_path / "run", "--epochs", 1, *LORA)
    assert code == 0, words
    merged = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "run" / "model").eval()
    base = transformers.AutoModelForSequenceClassification.from_pretrained(folders["bert"], num_labels=1)
    beside = with_adapter(base, tmp_path / "run" / "adapter")
    fed = transformers.AutoTokenizer.from_pretrained(folders["bert"])("the roses", return_tensors="pt")
    with torch.no_grad():
        assert float(merged(**fed).logits) > 50 and torch.allclose(merged(**fed).logits, beside(**fed).logits, rtol=1e-4)


def test_what_cannot_carry_it_is_refused_with_the_reason(folders, tmp_path, headstart):
    data = rows(tmp_path / "rows.csv")

    def refused(family, *more):
        code, _, words = headstart("finetune", data, "--model", folders[family], "--to", tmp_path / "run", *LORA, *more)
        assert code == 78 and not (tmp_path / "run" / "settings.toml").exists()
        return words

    assert "is no linear layer that the model calls" in refused("xlnet", "--set", "adapter.targets=q")
    assert "Did you mean query?" in refused("bert", "--set", "adapter.targets=querry")
    assert "does not go with training.freeze=backbone" in refused("bert", "--set", "training.freeze=backbone")
    assert "names no layer" in refused("bert", "--set", "adapter.targets=,")


def test_without_peft_the_extra_is_named(folders, tmp_path, headstart, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "peft", None)
    code, _, words = headstart("finetune", rows(tmp_path / "rows.csv"), "--model", folders["bert"], "--to", tmp_path / "run", *LORA)
    assert code == 69 and "headstart[lora]" in words
