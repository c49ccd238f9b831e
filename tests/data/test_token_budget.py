"""Steps by a budget of tokens on both sides: exact, each example once an epoch, the same again, and after an
interruption.
"""

import json
import signal

import numpy as np
import pytest
import tiny
import tiny_writers

from headstart.data.features.batches import batches_within_budget, plan_batches

RNG = np.random.default_rng(5)
SOURCES, TARGETS = RNG.integers(3, 60, 400), RNG.integers(1, 30, 400)


@pytest.mark.parametrize("epoch", [0, 1, 7])
@pytest.mark.parametrize("bucketed", [True, False])
@pytest.mark.parametrize("tokens", [64, 300, 100_000])
def test_every_example_comes_once_and_no_step_is_over_its_budget(tokens, bucketed, epoch):
    steps = plan_batches(SOURCES, batch_size=8, seed=3, epoch=epoch, bucketed=bucketed, target_lengths=TARGETS,
                         batch_tokens=tokens)
    assert sorted(np.concatenate(steps).tolist()) == list(range(400))
    for step in steps:
        step_tokens = len(step) * (SOURCES[step].max()
                                   + TARGETS[step].max()) if bucketed else (SOURCES + TARGETS)[step].sum()
        assert step_tokens <= tokens or len(step) == 1
    again = plan_batches(SOURCES, batch_size=8, seed=3, epoch=epoch, bucketed=bucketed, target_lengths=TARGETS,
                         batch_tokens=tokens)
    next_epoch = plan_batches(SOURCES, batch_size=8, seed=3, epoch=epoch + 1, bucketed=bucketed, target_lengths=TARGETS,
                              batch_tokens=tokens)
    assert all(map(np.array_equal, steps, again)) and not all(map(np.array_equal, steps, next_epoch))


def test_a_budget_is_filled():
    padded = batches_within_budget(np.arange(6), np.asarray([4, 4, 4, 4, 9, 1]), np.asarray([1, 1, 1, 1, 1, 1]), 15,
                                   padded=True)
    assert [batch.tolist() for batch in padded] == [[0, 1, 2], [3], [4], [5]]
    packed = batches_within_budget(np.arange(6), np.asarray([4, 4, 4, 4, 9, 1]), np.zeros(6, dtype=int), 15,
                                   padded=False)
    assert [batch.tolist() for batch in packed] == [[0, 1, 2], [3, 4, 5]]


def test_targets_of_similar_length_share_a_batch_where_sources_are_equally_long():
    steps = plan_batches(np.full(400, 9), batch_size=8, seed=0, epoch=0, bucketed=True, target_lengths=TARGETS)
    waste = sum(len(step) * TARGETS[step].max() for step in steps) / TARGETS.sum() - 1
    assert waste < 0.1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_writers.model_folder("bart", tmp_path_factory.mktemp("bart"), seed=2)


def arguments(folder, file, to, *options):
    return ["finetune", file, "--task", "text-to-text", "--model", folder, "--to", to, "--set",
            "training.batch_tokens=200", "--epochs", "2",
            "--set", "evaluation.resamples=0", "--set", "training.save_every=1", "--set", "generation.max_new_tokens=4",
            *options]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"source": text, "target": text[:len(text) // (1 + n % 4)]}) + "\n"
                            for n, text in enumerate(tiny.texts(50, seed=5))))
    return path


def test_an_interrupted_run_ends_with_the_same_bits(folder, file, tmp_path, headstart, monkeypatch):
    from headstart.runs import fit

    code, _, err = headstart(*arguments(folder, file, tmp_path / "whole"))
    assert code == 0 and "steps of at most 200 tokens" in err, err
    original, steps_reported = fit.tell_step, []

    def stopping(*report):
        original(*report)
        steps_reported.append(report)
        if len(steps_reported) == 12:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(fit, "tell_step", stopping)
    assert headstart(*arguments(folder, file, tmp_path / "parts"))[0] == 75
    monkeypatch.setattr(fit, "tell_step", original)
    code, _, err = headstart("resume", tmp_path / "parts")
    assert code == 0 and "resuming after step 12" in err, err
    uninterrupted, resumed = (tmp_path / name / "model" / "model.safetensors" for name in ("whole", "parts"))
    assert uninterrupted.read_bytes() == resumed.read_bytes()
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    shares = [line["padding"] for line in log if line.get("padding")]
    assert shares and all(0 <= share["source"] < 1 and 0 <= share["target"] < 1 for share in shares)


def test_a_classifier_takes_a_budget_too(tiny_bert, tmp_path, headstart):
    file = tmp_path / "rows.csv"
    file.write_text("text,label\n" + "".join(f"{text.replace(',', '')},{'ab'[n % 2]}\n"
                                             for n, text in enumerate(tiny.texts(60, seed=6))))
    code, _, err = headstart("finetune", file, "--model", tiny_bert, "--to", tmp_path / "run", "--epochs", "1",
                             "--set", "training.batch_tokens=128", "--set", "evaluation.resamples=0")
    assert code == 0 and "steps of 128 tokens" in err, err


def test_micro_batches_count_target_tokens_too():
    from headstart.contract import Feature, Target
    from headstart.data.features.batches import example_costs
    from headstart.data.features.features import Features

    features = Features()
    features.add([Feature([1, 2, 3], targets={"label": Target([4] * 50, "position")}, label_positions=[0] * 50)])
    assert example_costs("encoder-decoder", features).tolist() == [53] and example_costs("encoder",
                                                                                         features).tolist() == [3]


@pytest.mark.parametrize("share", ["0.5", "0"])
def test_dropped_layers_follow_from_the_seed(share, folder, file, tmp_path, headstart):
    for name in ("one", "two"):
        code, _, err = headstart(*arguments(folder, file, tmp_path / name, "--set", f"training.layer_drop={share}"))
        assert code == 0, err
    first, second = (tmp_path / name / "model" / "model.safetensors" for name in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    config = json.loads((tmp_path / "one" / "model" / "config.json").read_text())
    assert config["encoder_layerdrop"] == config["decoder_layerdrop"] == float(share)


def test_layer_drop_is_refused_for_families_without_it(tmp_path, file, headstart):
    folder = tiny_writers.model_folder("t5", tmp_path / "t5")
    code, _, err = headstart(*arguments(folder, file, tmp_path / "run", "--set", "training.layer_drop=0.1"))
    assert code == 78 and "has no LayerDrop" in err


def test_the_tokens_of_a_micro_batch_follow_from_the_models_size():
    import torch

    from headstart.training.estimate import MAX_TOKENS, MAX_TOKENS_GPU, MIN_TOKENS, micro_batch_tokens

    small, large = torch.nn.Linear(10, 10), torch.nn.Linear(4000, 5000)
    size = {"layers": 6, "width": 384}
    assert micro_batch_tokens(small, device="cpu",
                              **size) == MIN_TOKENS < micro_batch_tokens(large, device="cpu", **size) < MAX_TOKENS
    assert micro_batch_tokens(large, device="cpu", layers=1, width=8) == MAX_TOKENS
    assert micro_batch_tokens(small, device="cuda:0", **size) == MAX_TOKENS_GPU
    assert micro_batch_tokens(small, device="cpu", encodes_twice=True, **size) == MAX_TOKENS
    before = micro_batch_tokens(large, device="cpu", **size)
    large.requires_grad_(False)  # beside an adapter nothing is kept of their gradients
    assert micro_batch_tokens(large, device="cpu", **size) < before
