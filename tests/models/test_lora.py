"""LoRA: what is trained and saved; merging changes no prediction, resuming is exact; what is refused."""

import json

import pytest
import tiny
import torch
import transformers
from conftest import write_csv

from headstart.contract import HeadSpec
from headstart.contract.losses import VocabularyCrossEntropy
from headstart.errors import UserError
from headstart.models import lora
from headstart.models.loading.load import load
from headstart.models.loading.quiet import quiet
from headstart.settings import Adapter

pytest.importorskip("peft", reason="peft is not installed (pip install 'headstart[lora]')")

CLASSES = HeadSpec("sequence-classification", 3, ("good", "bad", "mixed"))
LORA = ["--adapter", "lora", "--set", "adapter.rank=4", "--set", "evaluation.resamples=5", "--set",
        "evaluation.baselines=false"]


def spec(family):
    return HeadSpec("causal-language-model", 0,
                    loss=VocabularyCrossEntropy()) if family in tiny.DECODERS and family != "transfo-xl" else CLASSES


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {family: tiny.model_folder(family, tmp_path_factory.mktemp("bases") / family) for family in tiny.FAMILIES}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_adapted_layer_changes_the_output_and_merging_does_not(family, folders):
    model = load(str(folders[family]), spec(family), seed=0)
    names_before = {name for name, _ in model.module.named_parameters()}
    message = lora.apply(model, Adapter(rank=2), seed=0)
    assert "% of" in message and message.startswith("LoRA of rank 2 on")
    ids = torch.tensor([model.tokenizer.tokenize("The gardener waters the roses.").ids])
    base_output = model.module.eval()(input_ids=ids)[0].detach()
    trainable = [(name, weight) for name, weight in model.module.named_parameters()
                 if name not in model.fixed_parameters()]
    assert trainable and all("lora_" in name or "modules_to_save" in name for name, _ in trainable)
    with torch.no_grad():
        for name, weight in trainable:
            if "lora_B" in name:
                weight.normal_(std=0.1, generator=torch.Generator().manual_seed(1))
    model.module(input_ids=ids)[0].square().sum().backward()
    a_matrices = [weight for name, weight in trainable if "lora_A" in name]
    assert all(weight.grad is not None for weight in a_matrices)
    assert sum(bool(weight.grad.any()) for weight in a_matrices) >= len(a_matrices) - 2  # a key's may cancel
    adapted_output = model.module(input_ids=ids)[0].detach()
    lora.merge(model)
    merged_output = model.module(input_ids=ids)[0].detach()
    assert not torch.allclose(base_output, adapted_output) and torch.allclose(adapted_output, merged_output, atol=1e-4)
    assert {name for name, _ in model.module.named_parameters()} == names_before


def with_adapter(base, folder):
    """As peft alone reads it."""
    import peft

    with quiet():
        return peft.PeftModel.from_pretrained(base, str(folder)).eval()


def reviews_file(path):
    from conftest import review_rows

    return write_csv(path, review_rows(60))


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_run_saves_the_adapter_and_a_merged_model_that_predict_the_same(family, folders, tmp_path, headstart):
    data = reviews_file(tmp_path / "rows.csv")
    code, _, stderr = headstart("finetune", data, "--model", folders[family], "--to", tmp_path / "run", "--epochs", 3,
                                *LORA)
    assert code == 0 and "parameters are trained" in stderr and "batches: packed" in stderr
    merged = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "run" / "model").eval()
    labels = merged.config.num_labels
    base = transformers.AutoModelForSequenceClassification.from_pretrained(folders[family], num_labels=labels,
                                                                           pad_token_id=merged.config.pad_token_id)
    encoded = transformers.AutoTokenizer.from_pretrained(tmp_path / "run" / "model")("broken roses and apples",
                                                                                     return_tensors="pt")
    with torch.no_grad():
        untrained = base.eval()(**encoded).logits
        adapted = with_adapter(base, tmp_path / "run" / "adapter")
        assert torch.allclose(merged(**encoded).logits, adapted(**encoded).logits, atol=1e-4)
        assert not torch.allclose(merged(**encoded).logits, untrained, atol=1e-3)
    code, _, _ = headstart("predict", tmp_path / "run", data, "--to", tmp_path / "predictions.jsonl")
    saved_rows = map(json.loads, (tmp_path / "run" / "predictions.jsonl").read_text().splitlines())
    saved_predictions = {row["row"]: row["prediction"] for row in saved_rows}
    predictions = [json.loads(line)["prediction"] for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert code == 0 and all(predictions[row] == prediction for row, prediction in saved_predictions.items())
    checkpoint = next((tmp_path / "run" / "checkpoints").glob("step-*"))
    assert (checkpoint / "model.safetensors").stat().st_size * 4 < (tmp_path / "run" / "model"
                                                                    / "model.safetensors").stat().st_size
    code, _, stderr = headstart("evaluate", tmp_path / "run", data, "--all-checkpoints")
    assert code == 0, stderr


def test_an_interrupted_run_ends_with_the_same_adapter(folders, tmp_path, headstart, monkeypatch):
    from headstart.runs import fit

    data = reviews_file(tmp_path / "rows.csv")
    arguments = [data, "--model", folders["distilbert"], "--epochs", 2, "--batch-size", 8, *LORA, "--set",
                 "adapter.dropout=0.1", "--set", "training.save_every=2"]
    assert headstart("finetune", *arguments, "--to", tmp_path / "whole")[0] == 0
    original_save = fit.save

    def save_and_interrupt(fit_state):
        original_save(fit_state)
        fit_state.interrupts.requested = True

    monkeypatch.setattr(fit, "save", save_and_interrupt)
    assert headstart("finetune", *arguments, "--to", tmp_path / "parts")[0] == 75
    monkeypatch.setattr(fit, "save", original_save)
    assert headstart("resume", tmp_path / "parts")[0] == 0
    for name in ("adapter/adapter_model.safetensors", "model/model.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_a_run_is_not_resumed_on_a_changed_base(folders, tmp_path):
    from headstart.settings import Training
    from headstart.training.state import TrainingState

    def state(seed):
        model = load(str(tiny.model_folder("bert", tmp_path / f"base-{seed}", seed=seed)), CLASSES, seed=0)
        lora.apply(model, Adapter(), seed=0)
        return TrainingState.initial(model, Training(learning_rate=1e-3), precision="fp32", device="cpu")

    state(0).save(tmp_path, {})
    assert state(0).load(tmp_path) == {}
    with pytest.raises(UserError, match="base model of the adapter has changed"):
        state(1).load(tmp_path)


def test_a_language_model_learns_with_frozen_embeddings(folders, tmp_path, headstart):
    (tmp_path / "notes.txt").write_text("\n".join(tiny.texts(40, seed=2)), encoding="utf-8")
    code, _, stderr = headstart("finetune", tmp_path / "notes.txt", "--task", "language-model", "--model",
                                folders["llama"], "--to", tmp_path / "run",
                                 "--epochs", 3, *LORA, "--set", "adapter.target_modules=q_proj,v_proj")
    assert code == 0 and "on 4 layers (q_proj, v_proj)" in stderr, stderr
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    scores = [entry["scores"]["perplexity"] for entry in log if entry["event"] == "evaluation"]
    assert scores[-1] < scores[0]
    assert transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model").config.model_type == "llama"
    assert headstart("generate", tmp_path / "run", "The gardener", "--max-new-tokens", 3)[0] == 0


def test_the_adapter_of_a_regression_predicts_in_the_users_unit_too(folders, tmp_path, headstart):
    data = write_csv(tmp_path / "rows.csv", [(text, 100 + 7.5 * len(text)) for text in tiny.texts(50)],
                     ("text", "target"))
    code, _, stderr = headstart("finetune", data, "--model", folders["bert"], "--to", tmp_path / "run", "--epochs", 1,
                                *LORA)
    assert code == 0, stderr
    merged = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "run" / "model").eval()
    base = transformers.AutoModelForSequenceClassification.from_pretrained(folders["bert"], num_labels=1)
    adapted = with_adapter(base, tmp_path / "run" / "adapter")
    encoded = transformers.AutoTokenizer.from_pretrained(folders["bert"])("the roses", return_tensors="pt")
    with torch.no_grad():
        assert float(merged(**encoded).logits) > 50 and torch.allclose(merged(**encoded).logits,
                                                                       adapted(**encoded).logits, rtol=1e-4)


def test_what_takes_no_adapter_is_refused_with_the_reason(folders, tmp_path, headstart):
    data = reviews_file(tmp_path / "rows.csv")

    def refused(family, *flags):
        code, _, stderr = headstart("finetune", data, "--model", folders[family], "--to", tmp_path / "run", *LORA,
                                    *flags)
        assert code == 78 and not (tmp_path / "run" / "settings.toml").exists()
        return stderr

    assert "is not a linear layer that the model calls" in refused("xlnet", "--set", "adapter.target_modules=q")
    assert "Did you mean query?" in refused("bert", "--set", "adapter.target_modules=querry")
    assert "does not go with training.freeze=backbone" in refused("bert", "--set", "training.freeze=backbone")
    assert "names no layer" in refused("bert", "--set", "adapter.target_modules=,")


def test_without_peft_the_extra_is_named(folders, tmp_path, headstart, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "peft", None)
    code, _, stderr = headstart("finetune", reviews_file(tmp_path / "rows.csv"), "--model", folders["bert"], "--to",
                                tmp_path / "run", *LORA)
    assert code == 69 and "headstart[lora]" in stderr
