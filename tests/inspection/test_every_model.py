"""`headstart inspect` on every family with every head it can have: numbers or words, never a fault of our own."""

import json

import numpy as np
import pytest
import tiny
import tiny_writers

from headstart.models.loading.catalogue import CATALOGUE
from headstart.prediction.probe_file import load_for_inspection

HEADS = {family.name: [head for head in family.heads if head != "embedding"] for family in CATALOGUE}
ALL = [(family, head) for family in tiny.FAMILIES for head in (None, *HEADS[family])]
WRITERS = tiny_writers.ENCODER_DECODERS + tiny_writers.MORE_ENCODER_DECODERS


def check(headstart, folder, out, *options):
    """Tokens, a file and a page; then the words' scores, or why there are none."""
    code, stdout, stderr = headstart("inspect", folder, "Seven roses bloom.", "--to", out / "a.npz", "--page",
                                     out / "a.html", "--json", *options)
    assert code == 0, stderr
    inspection, archive = json.loads(stdout), np.load(out / "a.npz")
    assert inspection["hidden_states"] == list(archive["hidden_states"].shape)
    assert ("target" in inspection) == ("cross_attentions" in archive)
    assert "</html>" in (out / "a.html").read_text(encoding="utf-8")
    code, _, stderr = headstart("inspect", folder, "Seven roses bloom.", "--attribute", "gradient-x-input", *options)
    assert code in (0, 2), stderr
    return code


def model_folder(family, head, folder):
    labels = ["no", "yes"] if head in ("sequence-classification", "token-classification") else None
    return tiny.model_folder(family, folder, head, labels)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_model_of_every_family(family, tmp_path, headstart):
    head = HEADS[family][-1]
    assert check(headstart, model_folder(family, head, tmp_path / "m"), tmp_path) == (
        0 if head in ("sequence-classification", "causal-language-model") else 2)


@pytest.mark.parametrize("family", WRITERS)
def test_every_encoder_decoder(family, tmp_path, headstart):
    languages = [part for key, value in tiny_writers.LANGUAGES.items()
                 for part in ("--set", f"{key}={value}")] if family.startswith("mbart") else []
    assert check(headstart, tiny_writers.model_folder(family, tmp_path / "m"), tmp_path, "--target", "They grow.",
                 *languages) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("family", "head"), ALL)
def test_every_head_of_every_family(family, head, tmp_path, headstart):
    explained = ("sequence-classification", "causal-language-model")
    assert check(headstart, model_folder(family, head, tmp_path / "m"), tmp_path) == (0 if head in explained else 2)
    if head is not None and head.startswith("question-answering"):
        for options in ((), ("--attribute", "occlusion", "--page", tmp_path / "q.html")):
            code, _, stderr = headstart("inspect", tmp_path / "m", "--question", "What blooms?", "--passage",
                                        " ".join(tiny.sentences()[:30]), *options)
            assert code == 0, stderr


@pytest.mark.parametrize("family", ["gpt2", "openai-gpt"])
def test_a_folder_of_double_heads_has_the_embeddings_of_its_language_model(family, tmp_path):
    """GPT's file holds the language model head alone, which the embeddings are tied to."""
    import torch
    import transformers

    folder = tiny.model_folder(family, tmp_path / "m", "multiple-choice")
    model, _ = load_for_inspection(str(folder), device="cpu")
    reference = getattr(transformers, "GPT2DoubleHeadsModel" if family == "gpt2"
                        else "OpenAIGPTDoubleHeadsModel").from_pretrained(folder)
    assert torch.equal(model.module.get_input_embeddings().weight, reference.lm_head.weight)
