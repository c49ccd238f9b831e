"""Embeddings that training never shows stay; the others learn as if all did."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch

from headstart.contract import Feature, HeadSpec, Layout, Target
from headstart.data.features.batches import collate
from headstart.models.loading.load import load
from headstart.settings import Training
from headstart.training import optimizer as optimizers
from headstart.training.sparse_embeddings import trim

SPEC = HeadSpec("sequence-classification", 2, ("no", "yes"))
SETTINGS = Training(learning_rate=1e-3, weight_decay=0.0)


def made(folder):
    return load(str(folder), SPEC, seed=0, dropout=0.0, attention_dropout=0.0)


def batch(model, seed: int):
    texts = tiny.texts(6, seed=seed)
    features = [Feature(*model.tokenizer.lay_out(model.tokenizer.tokenize(text).ids[:12]),
                        {"label": Target(number % 2)}) for number, text in enumerate(texts)]
    return collate(features, Layout(True, 0))


def trained(model, optimizer, updates: range, parts: int = 1) -> dict[str, torch.Tensor]:
    model.module.train()
    for update in updates:
        optimizer.zero_grad(set_to_none=True)
        for part in range(parts):
            held = batch(model, update * 10 + part)
            logits = model.forward(held)["logits"]
            torch.nn.functional.cross_entropy(logits, torch.from_numpy(held.targets["label"])).backward()
        optimizer.step()
    return {name: weight.detach().clone() for name, weight in model.module.named_parameters()}


def seen_of(model, updates: range, parts: int) -> np.ndarray:
    return np.unique(np.concatenate([batch(model, update * 10 + part).ids[0] for update in updates for part in range(parts)]))


@pytest.mark.parametrize("parts", [1, 3])
def test_seen_rows_learn_as_ever_and_others_stay(tmp_path, parts):
    folder = tiny.model_folder("bert", tmp_path)
    whole, small = made(folder), made(folder)
    seen = seen_of(whole, range(4), parts)
    before = small.module.get_input_embeddings().weight.detach().clone()
    expected = trained(whole, optimizers.make(whole, SETTINGS), range(4), parts)
    optimizer = optimizers.make(small, SETTINGS)
    rows = trim(optimizer, small.module, seen)
    assert rows is not None and rows.leaf.shape == (len(seen), 32)
    found = trained(small, optimizer, range(4), parts)
    for name, weight in expected.items():
        assert torch.allclose(weight, found[name], atol=1e-6), name
    others = np.setdiff1d(np.arange(len(before)), seen)
    after = small.module.get_input_embeddings().weight
    assert torch.equal(after[others], before[others]) and not torch.equal(after[seen], before[seen])


def test_training_goes_on_from_its_saved_state_bit_for_bit(tmp_path):
    folder = tiny.model_folder("bert", tmp_path)
    first = made(folder)
    seen = seen_of(first, range(6), 1)

    def fresh(model):
        optimizer = optimizers.make(model, SETTINGS)
        assert trim(optimizer, model.module, seen) is not None
        return optimizer

    straight = trained(first, fresh(first), range(6))
    second = made(folder)
    halfway = fresh(second)
    weights = trained(second, halfway, range(3))
    memory = {name: held.clone() for name, held in optimizers.state_tensors(halfway).items()}
    third = made(folder)
    last = fresh(third)
    with torch.no_grad():
        for name, weight in third.module.named_parameters():
            weight.copy_(weights[name])
    optimizers.load_state(last, memory)
    resumed = trained(third, last, range(3, 6))
    assert all(torch.equal(weight, resumed[name]) for name, weight in straight.items())


def test_it_is_left_alone_where_it_would_not_serve(tmp_path):
    model = made(tiny.model_folder("bert", tmp_path))
    every = np.arange(model.module.get_input_embeddings().weight.shape[0])
    assert trim(optimizers.make(model, SETTINGS), model.module, every) is None
    frozen = optimizers.make(model, Training(learning_rate=1e-3, freeze="embeddings"))
    assert trim(frozen, model.module, every[:9]) is None
    adafactor = optimizers.make(model, Training(learning_rate=1e-3, optimizer="adafactor"))
    assert trim(adafactor, model.module, every[:9]) is None
