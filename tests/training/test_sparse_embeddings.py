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
from headstart.training.sparse_embeddings import restrict_embeddings

SPEC = HeadSpec("sequence-classification", 2, ("no", "yes"))
SETTINGS = Training(learning_rate=1e-3, weight_decay=0.0)


def load_model(folder):
    return load(str(folder), SPEC, seed=0, dropout=0.0, attention_dropout=0.0)


def batch(model, seed: int):
    texts = tiny.texts(6, seed=seed)
    features = [Feature(*model.tokenizer.with_special_tokens(model.tokenizer.tokenize(text).ids[:12]),
                        {"label": Target(index % 2)}) for index, text in enumerate(texts)]
    return collate(features, Layout(True, 0))


def train(model, optimizer, steps: range, micro_batches: int = 1) -> dict[str, torch.Tensor]:
    model.module.train()
    for step in steps:
        optimizer.zero_grad(set_to_none=True)
        for index in range(micro_batches):
            step_batch = batch(model, step * 10 + index)
            logits = model.forward(step_batch)["logits"]
            torch.nn.functional.cross_entropy(logits, torch.from_numpy(step_batch.targets["label"])).backward()
        optimizer.step()
    return {name: weight.detach().clone() for name, weight in model.module.named_parameters()}


def token_ids_of(model, steps: range, micro_batches: int) -> np.ndarray:
    return np.unique(np.concatenate([batch(model, step * 10 + index).ids[0] for step in steps
                                     for index in range(micro_batches)]))


@pytest.mark.parametrize("micro_batches", [1, 3])
def test_seen_embeddings_learn_as_before_and_others_stay(tmp_path, micro_batches):
    folder = tiny.model_folder("bert", tmp_path)
    full, sparse = load_model(folder), load_model(folder)
    token_ids = token_ids_of(full, range(4), micro_batches)
    initial = sparse.module.get_input_embeddings().weight.detach().clone()
    expected = train(full, optimizers.build_optimizer(full, SETTINGS), range(4), micro_batches)
    optimizer = optimizers.build_optimizer(sparse, SETTINGS)
    rows = restrict_embeddings(optimizer, sparse.module, token_ids)
    assert rows is not None and rows.leaf.shape == (len(token_ids), 32)
    weights = train(sparse, optimizer, range(4), micro_batches)
    for name, weight in expected.items():
        assert torch.allclose(weight, weights[name], atol=1e-6), name
    unseen_ids = np.setdiff1d(np.arange(len(initial)), token_ids)
    trained = sparse.module.get_input_embeddings().weight
    assert torch.equal(trained[unseen_ids], initial[unseen_ids]) and not torch.equal(trained[token_ids],
                                                                                     initial[token_ids])


def test_training_resumes_from_its_saved_state_bit_for_bit(tmp_path):
    folder = tiny.model_folder("bert", tmp_path)
    first = load_model(folder)
    token_ids = token_ids_of(first, range(6), 1)

    def sparse_optimizer(model):
        optimizer = optimizers.build_optimizer(model, SETTINGS)
        assert restrict_embeddings(optimizer, model.module, token_ids) is not None
        return optimizer

    straight = train(first, sparse_optimizer(first), range(6))
    second = load_model(folder)
    second_optimizer = sparse_optimizer(second)
    weights = train(second, second_optimizer, range(3))
    optimizer_state = {name: tensor.clone() for name, tensor in optimizers.state_tensors(second_optimizer).items()}
    third = load_model(folder)
    resumed_optimizer = sparse_optimizer(third)
    with torch.no_grad():
        for name, weight in third.module.named_parameters():
            weight.copy_(weights[name])
    optimizers.load_state(resumed_optimizer, optimizer_state)
    resumed = train(third, resumed_optimizer, range(3, 6))
    assert all(torch.equal(weight, resumed[name]) for name, weight in straight.items())


def test_nothing_is_restricted_where_it_would_not_help(tmp_path):
    model = load_model(tiny.model_folder("bert", tmp_path))
    all_ids = np.arange(model.module.get_input_embeddings().weight.shape[0])
    assert restrict_embeddings(optimizers.build_optimizer(model, SETTINGS), model.module, all_ids) is None
    frozen = optimizers.build_optimizer(model, Training(learning_rate=1e-3, freeze="embeddings"))
    assert restrict_embeddings(frozen, model.module, all_ids[:9]) is None
    adafactor = optimizers.build_optimizer(model, Training(learning_rate=1e-3, optimizer="adafactor"))
    assert restrict_embeddings(adafactor, model.module, all_ids[:9]) is None


def test_the_small_table_gives_the_bits_of_the_whole_one(tmp_path):
    folder = tiny.model_folder("bert", tmp_path)
    weights = []
    for reads_whole in (True, False):
        model = load_model(folder)
        embedding = model.module.get_input_embeddings()
        if reads_whole:  # a lookup of another class is left as it is; its large gradient is gathered
            embedding.__class__ = type("OtherEmbedding", (torch.nn.Embedding,), {})
        optimizer = optimizers.build_optimizer(model, SETTINGS)
        restrict_embeddings(optimizer, model.module, token_ids_of(model, range(4), 2))
        weights.append(train(model, optimizer, range(4), 2))
        assert embedding.weight.grad is None and ("forward" in vars(embedding)) is not reads_whole
    assert all(torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())


def test_evaluation_reads_the_moved_embeddings_and_unseen_tokens(tmp_path):
    model = load_model(tiny.model_folder("bert", tmp_path))
    token_ids = token_ids_of(model, range(4), 1)
    optimizer = optimizers.build_optimizer(model, SETTINGS)
    restrict_embeddings(optimizer, model.module, token_ids)
    train(model, optimizer, range(4))
    model.module.eval()
    embedding = model.module.get_input_embeddings()
    all_ids = torch.arange(len(embedding.weight))
    assert torch.equal(embedding(all_ids), embedding.weight)
    model.module.train()
    unseen = torch.from_numpy(np.setdiff1d(all_ids.numpy(), token_ids)[:1])
    with pytest.raises(IndexError):
        embedding(unseen)
