"""Updates by a budget of tokens on both sides: exact, each example once an epoch, the same again, and after an interruption."""

import json
import signal

import numpy as np
import pytest
import tiny
import tiny_writers

from headstart.data.features.batches import plan, within_budget

DRAW = np.random.default_rng(5)
SOURCES, TARGETS = DRAW.integers(3, 60, 400), DRAW.integers(1, 30, 400)


@pytest.mark.parametrize("epoch", [0, 1, 7])
@pytest.mark.parametrize("bucketed", [True, False])
@pytest.mark.parametrize("tokens", [64, 300, 100_000])
def test_every_example_comes_once_and_no_update_is_over_its_budget(tokens, bucketed, epoch):
    made = plan(SOURCES, batch_size=8, seed=3, epoch=epoch, bucketed=bucketed, written=TARGETS, tokens=tokens)
    assert sorted(np.concatenate(made).tolist()) == list(range(400))
    for update in made:
        held = len(update) * (SOURCES[update].max() + TARGETS[update].max()) if bucketed else (SOURCES + TARGETS)[update].sum()
        assert held <= tokens or len(update) == 1
    again = plan(SOURCES, batch_size=8, seed=3, epoch=epoch, bucketed=bucketed, written=TARGETS, tokens=tokens)
    other = plan(SOURCES, batch_size=8, seed=3, epoch=epoch + 1, bucketed=bucketed, written=TARGETS, tokens=tokens)
    assert all(map(np.array_equal, made, again)) and not all(map(np.array_equal, made, other))


def test_a_budget_is_filled():
    made = within_budget(np.arange(6), np.asarray([4, 4, 4, 4, 9, 1]), np.asarray([1, 1, 1, 1, 1, 1]), 15, padded=True)
    assert [one.tolist() for one in made] == [[0, 1, 2], [3], [4], [5]]
    packed = within_budget(np.arange(6), np.asarray([4, 4, 4, 4, 9, 1]), np.zeros(6, dtype=int), 15, padded=False)
    assert [one.tolist() for one in packed] == [[0, 1, 2], [3, 4, 5]]


def test_texts_to_write_of_like_length_stand_together_where_sources_are_alike():
    made = plan(np.full(400, 9), batch_size=8, seed=0, epoch=0, bucketed=True, written=TARGETS)
    waste = sum(len(update) * TARGETS[update].max() for update in made) / TARGETS.sum() - 1
    assert waste < 0.1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_writers.folder("bart", tmp_path_factory.mktemp("bart"), seed=2)


def words(folder, file, to, *more):
    return ["finetune", file, "--task", "text-to-text", "--model", folder, "--to", to, "--set", "training.batch_tokens=200", "--epochs", "2",
            "--set", "evaluation.resamples=0", "--set", "training.save_every=1", "--set", "generation.new_tokens=4", *more]


@pytest.fixture
def file(tmp_path):
    place = tmp_path / "rows.jsonl"
    place.write_text("".join(json.dumps({"source": text, "target": text[:len(text) // (1 + n % 4)]}) + "\n"
                             for n, text in enumerate(tiny.texts(50, seed=5))))
    return place


def test_an_interrupted_run_ends_with_the_same_bits(folder, file, tmp_path, headstart, monkeypatch):
    from headstart.runs import fit

    code, _, err = headstart(*words(folder, file, tmp_path / "whole"))
    assert code == 0 and "updates of at most 200 tokens" in err, err
    tell, seen = fit.tell_step, []

    def stopping(*given):
        tell(*given)
        seen.append(given)
        if len(seen) == 12:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(fit, "tell_step", stopping)
    assert headstart(*words(folder, file, tmp_path / "parts"))[0] == 75
    monkeypatch.setattr(fit, "tell_step", tell)
    code, _, err = headstart("resume", tmp_path / "parts")
    assert code == 0 and "going on after update 12" in err, err
    whole, parts = (tmp_path / name / "model" / "model.safetensors" for name in ("whole", "parts"))
    assert whole.read_bytes() == parts.read_bytes()
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    shares = [line["padding"] for line in log if line.get("padding")]
    assert shares and all(0 <= one["source"] < 1 and 0 <= one["target"] < 1 for one in shares)


def test_a_classifier_takes_a_budget_too(tiny_bert, tmp_path, headstart):
    file = tmp_path / "rows.csv"
    file.write_text("text,label\n" + "".join(f"{text.replace(',', '')},{'ab'[n % 2]}\n" for n, text in enumerate(tiny.texts(60, seed=6))))
    code, _, err = headstart("finetune", file, "--model", tiny_bert, "--to", tmp_path / "run", "--epochs", "1",
                             "--set", "training.batch_tokens=128", "--set", "evaluation.resamples=0")
    assert code == 0 and "updates of 128 tokens" in err, err


def test_micro_batches_count_what_is_written_too():
    from headstart.contract import Feature, Target
    from headstart.data.features.batches import costs
    from headstart.data.features.features import Features

    made = Features()
    made.add([Feature([1, 2, 3], targets={"label": Target([4] * 50, "asked")}, asks=[0] * 50)])
    assert costs("encoder-decoder", made).tolist() == [53] and costs("encoder", made).tolist() == [3]


@pytest.mark.parametrize("share", ["0.5", "0"])
def test_layers_that_are_left_out_are_drawn_from_the_seed(share, folder, file, tmp_path, headstart):
    for name in ("one", "two"):
        code, _, err = headstart(*words(folder, file, tmp_path / name, "--set", f"training.layer_drop={share}"))
        assert code == 0, err
    one, two = (tmp_path / name / "model" / "model.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    config = json.loads((tmp_path / "one" / "model" / "config.json").read_text())
    assert config["encoder_layerdrop"] == config["decoder_layerdrop"] == float(share)


def test_layers_cannot_be_left_out_of_every_family(tmp_path, file, headstart):
    folder = tiny_writers.folder("t5", tmp_path / "t5")
    code, _, err = headstart(*words(folder, file, tmp_path / "run", "--set", "training.layer_drop=0.1"))
    assert code == 78 and "cannot leave layers out" in err


def test_a_processor_takes_as_many_tokens_at_once_as_the_models_size_bears():
    import torch

    from headstart.training.estimate import FEWEST, MOST, MOST_GPU, tokens_at_once

    small, whole = torch.nn.Linear(10, 10), torch.nn.Linear(4000, 5000)
    told = {"layers": 6, "width": 384}
    assert tokens_at_once(small, device="cpu", **told) == FEWEST < tokens_at_once(whole, device="cpu", **told) < MOST
    assert tokens_at_once(whole, device="cpu", layers=1, width=8) == MOST and tokens_at_once(small, device="cuda:0", **told) == MOST_GPU
    assert tokens_at_once(small, device="cpu", parts_are_read_twice=True, **told) == MOST
    before = tokens_at_once(whole, device="cpu", **told)
    whole.requires_grad_(False)  # beside an adapter nothing is kept of their gradients
    assert tokens_at_once(whole, device="cpu", **told) < before
