"""A model sharded over processes: the losses of one process, a part of the memory, checkpoints that any number reads."""

import dataclasses
import errno
import json

import numpy as np
import pytest
import tiny
import tiny_writers
from process_pool import Case, case_folder, open_pool
from test_distributed import PLAIN, ends, model_of, reviews_case, rows_of
from test_every_family_finetunes import HEAD_OF_FAMILY, WRITERS

STEPS = 20
SHARDED = PLAIN | {"training.sharded": True, "training.max_steps": STEPS}
CASES = {  # name -> family, task, settings
    "text-classification": ("distilbert", "text-classification", {}),
    "padded, bf16": ("bert", "text-classification", {"training.precision": "bf16", "training.batcher": "bucketed"}),
    "recomputed": ("bert", "text-classification", {"training.gradient_checkpointing": True}),
    "frozen below": ("bert", "text-classification", {"training.freeze": "layers:1"}),
    "one layer for all": ("albert", "text-classification", {}),
    "token-tagging": ("roberta", "token-tagging", {}),
    "question-answering": ("bert", "question-answering", {}),
    "permuted": ("xlnet", "regression", {}),
    "next-sentence and masks": ("bert", "bert-pretraining", {}),
    "decoder": ("gpt2", "language-model", {}),
    "encoder-decoder": ("t5", "summarization", {}),
    "memory": ("transfo-xl", "language-model", {}),
    "BART": ("bart", "summarization", {}),
    "lora": ("bert", "text-classification", {"training.adapter": "lora", "adapter.rank": 2}),
    "lora, decoder": ("llama", "language-model", {"training.adapter": "lora", "adapter.rank": 2}),
}

THREE = ("text-classification", "decoder", "encoder-decoder")  # that three processes train as well


pool, folder = map(pytest.fixture(scope="module"), (open_pool, case_folder))


@pytest.mark.parametrize("name", CASES)
def test_twenty_steps_have_the_losses_and_weights_of_one_process(name, folder, pool):
    family, task, values = CASES[name]
    case = Case(rows_of(folder, task), task, model_of(folder, family), {**SHARDED, **values})
    one, = pool.ask("function", "test_sharding.trained_in_shards", case, size=1)
    for size in (2, 3) if name in THREE else (2,):
        answers = pool.ask("function", "test_sharding.trained_in_shards", case, size=size)
        assert len({tuple(answer["losses"]) for answer in answers}) == 1
        tolerance = 2e-2 if "bf16" in name else 1e-5
        assert answers[0]["losses"] == pytest.approx(one["losses"], rel=tolerance)
        assert len(one["losses"]) == STEPS
        assert_near(answers[0]["weights"], one["weights"], 1e-2 if "bf16" in name else 1e-4)
        whole = sum(weight.size for weight in one["weights"].values())
        rest = sum(max(size, len(weight)) * weight.size // len(weight) for weight in one["weights"].values()) / size
        for answer in answers:  # a part of weights and moments; rows are not cut
            assert answer["held"] <= rest + whole * 0.2
            assert answer["moments"] <= 2 * answer["held"]
        assert sum(answer["held"] for answer in answers) == whole


def assert_near(weights, others, tolerance):
    """Nearly all numbers are; a weight whose gradient is nothing but rounding (a key's bias) moves at random in Adam."""
    assert weights.keys() == others.keys()
    differences = np.concatenate([np.abs(weight - others[name]).ravel() for name, weight in weights.items()])
    assert np.mean(differences > tolerance) < 0.02
    assert differences.max() < 0.05


def trained_in_shards(world, case):
    """Losses of all steps, the weights after them, and how many numbers of weights and moments a process holds."""
    from pathlib import Path

    from process_pool import run_settings_of

    from headstart.progress import Reporter
    from headstart.runs.initial_state import initial_state
    from headstart.runs.leading import Beginning
    from headstart.runs.prepare import prepare
    from headstart.runs.sharded import shard_model
    from headstart.runs.training_steps import TrainingSteps
    from headstart.training import optimizer as optimizers
    from headstart.training.distributed import Message
    from headstart.training.loop import train

    prepared = prepare(run_settings_of(case), Reporter(), None)
    settings = prepared.settings
    steps = TrainingSteps(prepared, prepared.variant.can_pack(prepared.model, settings), Reporter(), features_epoch=-1)
    precision = case.values["training.precision"]
    state = initial_state(prepared, precision=precision, packed=steps.packed)
    shard_model(state, prepared, Beginning(None, settings.training, precision, steps.packed, Path(case.rows).parent), world)
    losses = [step.loss for step in train(
        state, steps.plan(), steps.make_batches, steps.objective(), steps.total_weight(), settings.training,
        total_steps=STEPS, seed=settings.seed, precision=precision, device="cpu", world=world)]
    if world.size > 1 and world.leads:
        world.say(Message.END)
    parts = [local(weight) for weight in prepared.model.module.parameters()]
    weights = {name: whole(weight).numpy() for name, weight in prepared.model.module.named_parameters()}
    moments = [local(tensor) for tensor in optimizers.state_tensors(state.optimizer).values() if tensor.dim()]
    return {"losses": losses, "weights": weights, "held": sum(part.numel() for part in parts),
            "moments": sum(moment.numel() for moment in moments)}


def local(tensor):
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def whole(tensor):
    tensor = tensor.detach()
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def sharded_case(folder, name, **values):
    return reviews_case(folder, name, **{"training.deterministic": False, "training.sharded": True,
                                         "training.precision": "fp32", "training.save_every": 3,
                                         "training.keep_last": 9, **values})


def losses_of(run):
    return [event["loss"] for event in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if "loss" in event]


def weights_of(run):
    from safetensors.numpy import load_file

    return load_file(run / "model" / "model.safetensors")


def assert_alike(run, other):
    assert_near(weights_of(run), weights_of(other), 1e-4)


def test_a_run_is_that_of_one_process_and_goes_on_with_any_number(folder, pool):
    one, three = sharded_case(folder, "shards-1"), sharded_case(folder, "shards-3")
    assert ends(pool.ask("finetuned", one, size=1)) == [one.to]
    answers = pool.ask("finetuned", three, size=3)
    assert ends(answers) == [three.to] * 3, answers
    assert "the model is sharded over 3 processes: each holds" in answers[0][1]
    assert "are added up part by part (training.sharded)" in answers[0][1]
    assert answers[1][1] == answers[2][1] == ""
    assert_alike(folder / "shards-1", folder / "shards-3")
    scores = [json.loads((folder / name / "scores.json").read_text())["test"] for name in ("shards-1", "shards-3")]
    assert scores[1]["macro_f1"] == scores[0]["macro_f1"]
    assert scores[1]["log_loss"]["value"] == pytest.approx(scores[0]["log_loss"]["value"], rel=1e-4)
    checkpoint = folder / "shards-3" / "checkpoints" / "step-000003"
    files = json.loads((checkpoint / "manifest.json").read_text())["files"]
    assert sorted(files) == ["shard-00001-model-00001-of-00001.safetensors",
                             "shard-00002-model-00001-of-00001.safetensors",
                             "shard-00003-model-00001-of-00001.safetensors", "state.json"]
    for size in (3, 1):
        case = sharded_case(folder, f"stopped-{size}")
        answers = pool.ask("function", "test_sharding.finetuned_until", case, 5, size=3)
        assert ends(answers) == ["UserError", "followed", "followed"], answers
        answers = pool.ask("resumed", case, size=size)
        assert ends(answers) == [case.to] * size, answers
        assert_alike(folder / "shards-3", folder / f"stopped-{size}")
        if size == 3:  # the same number goes on to the same bits
            assert ((folder / "stopped-3" / "model" / "model.safetensors").read_bytes()
                    == (folder / "shards-3" / "model" / "model.safetensors").read_bytes())
    case = sharded_case(folder, "grown")  # and from one process to several
    assert ends(pool.ask("function", "test_sharding.finetuned_until", case, 5, size=1)) == ["UserError"]
    assert ends(pool.ask("resumed", case, size=3)) == [case.to] * 3
    assert_alike(folder / "shards-1", folder / "grown")


def test_a_model_that_writes_is_scored_between_steps_by_process_0_alone(folder, pool):
    values = PLAIN | {"training.sharded": True, "training.evaluate_every": 2, "evaluation.resamples": 0,
                      "evaluation.baselines": False, "generation.max_new_tokens": 4}
    for size in (1, 3):
        case = Case(rows_of(folder, "summarization"), "summarization", model_of(folder, "t5"), values, to=str(folder / f"t5-{size}"))
        assert ends(pool.ask("finetuned", case, size=size)) == [case.to] * size
    assert_alike(folder / "t5-1", folder / "t5-3")


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(set(HEAD_OF_FAMILY) - {"mpnet", "xlm"}))
def test_every_family_ends_a_sharded_run_as_one_process_does(family, folder, pool):
    task = HEAD_OF_FAMILY[family]
    model = folder / f"{family}-{task}"
    (tiny_writers if family in WRITERS else tiny).model_folder(family, model)
    values = PLAIN | {"training.sharded": True, "training.max_steps": 4, "training.evaluate_every": 2, "evaluation.resamples": 0}
    values |= tiny_writers.LANGUAGES if family.startswith("mbart") else {}
    for size in (1, 3):
        case = Case(rows_of(folder, task), task, str(model), values, to=str(folder / f"ended-{family}-{size}"))
        assert ends(pool.ask("finetuned", case, size=size)) == [case.to] * size
    assert_alike(folder / f"ended-{family}-1", folder / f"ended-{family}-3")


def finetuned_until(world, case, step):
    """A run whose leader stops after so many steps."""
    import process_pool

    from headstart.errors import Exit, UserError
    from headstart.runs import fit

    original = fit.tell_step

    def tell_step(state, made, total):
        original(state, made, total)
        if made.number == step:
            raise UserError("interrupted for the test", exit=Exit.INTERRUPTED)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "tell_step", tell_step)
        return process_pool.finetuned(world, case)


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_checkpoint_with_a_damaged_part_is_skipped_with_words(damage, folder, pool):
    case = sharded_case(folder, f"part-{damage}", **{"training.save_every": 2})
    assert ends(pool.ask("function", "test_sharding.finetuned_until", case, 5, size=3))[0] == "UserError"
    name = "shard-00002-model-00001-of-00001.safetensors"
    part = folder / f"part-{damage}" / "checkpoints" / "step-000004" / name
    if damage == "missing":
        part.unlink()
    else:
        content = bytearray(part.read_bytes())
        content[-1] ^= 1
        part.write_bytes(content)
    answers = pool.ask("resumed", case, size=3)
    assert ends(answers) == [case.to] * 3, answers
    reason = "is missing" if damage == "missing" else "is not what was written"
    assert f"step-000004 is skipped: {name} {reason}" in answers[0][1]
    assert "resuming after step 2 of" in answers[0][1]
    assert ((folder / f"part-{damage}" / "model" / "model.safetensors").read_bytes()
            == (folder / "shards-3" / "model" / "model.safetensors").read_bytes())


def test_a_full_disk_of_one_process_ends_the_run_and_the_last_checkpoint_stays(folder, pool):
    case = sharded_case(folder, "full")
    answers = pool.ask("function", "test_sharding.finetuned_with_a_full_disk", case, size=3)
    assert ends(answers) == ["UserError", "followed", "followed"], answers
    assert answers[0][1].startswith("74: "), answers
    assert sorted(path.name for path in (folder / "full" / "checkpoints").iterdir()) == ["step-000003"]
    assert ends(pool.ask("resumed", case, size=3)) == [case.to] * 3
    assert_alike(folder / "full", folder / "shards-3")


def finetuned_with_a_full_disk(world, case):
    """A run of which process 1 cannot write its second checkpoint."""
    import process_pool
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter

    original, calls = HuggingFaceStorageWriter.write_data, []

    def write_data(self, plan, planner):
        calls.append(plan)
        if world.rank == 1 and len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", "part")
        return original(self, plan, planner)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HuggingFaceStorageWriter, "write_data", write_data)
        return process_pool.finetuned(world, case)


def test_a_loss_that_is_no_number_begins_again_in_all(folder, pool):
    case = sharded_case(folder, "again", **{"training.back_off": "on", "training.learning_rate": 1e-3})
    answers = pool.ask("function", "test_sharding.finetuned_with_nan_in_process_1", case, size=3)
    assert ends(answers) == [case.to] * 3, answers
    assert "begins again" in answers[0][1]


def finetuned_with_nan_in_process_1(world, case):
    """A run of which one micro-batch of process 1 has no loss, the first time."""
    import process_pool

    from headstart.training.sharding import Sharding

    original, calls = Sharding.step_gradients, []

    def step_gradients(self, model, batches, objectives, *arguments):
        calls.append(1)
        if world.rank == 1 and len(calls) == 4:
            first = objectives[0]
            objectives = [lambda model, batch: first(model, batch) * float("nan")] * len(objectives)
        return original(self, model, batches, objectives, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sharding, "step_gradients", step_gradients)
        return process_pool.finetuned(world, case)


@pytest.mark.slow
def test_an_evaluation_may_take_longer_than_the_timeout(folder, pool):
    case = sharded_case(folder, "long", **{"training.timeout": 10})
    answers = pool.ask("function", "test_sharding.finetuned_with_a_long_evaluation", case, size=3)
    assert ends(answers) == [case.to] * 3, answers


def finetuned_with_a_long_evaluation(world, case):
    """A run whose first evaluation takes 15 seconds."""
    import time

    import process_pool

    from headstart.runs import fit

    original, calls = fit.evaluate_now, []

    def evaluate_now(*arguments):
        calls.append(1)
        if len(calls) == 1:
            time.sleep(15)
        original(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "evaluate_now", evaluate_now)
        return process_pool.finetuned(world, case)


def test_processes_that_do_not_see_the_same_folder_are_refused(folder, pool):
    case = sharded_case(folder, "elsewhere")
    answers = pool.ask("function", "test_sharding.finetuned_elsewhere", case, size=3)
    assert ends(answers) == ["SharedError", "followed", "followed"], answers
    assert "of process 0 is not that of process 1, 2" in answers[0][1]


def finetuned_elsewhere(world, case):
    """A run of whose folder process 1 has another, at the same path."""
    import process_pool

    from headstart.runs import follow

    original = follow.shard_model
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(follow, "shard_model", lambda state, prepared, beginning, world: original(
            state, prepared, dataclasses.replace(beginning, checkpoints=beginning.checkpoints.parent.parent), world))
        return process_pool.finetuned(world, case)


@pytest.mark.parametrize(("task", "family", "values", "words"), [
    ("text-classification", "bert", {"training.optimizer": "adafactor"}, "training.optimizer=adafactor"),
    ("regression", "bert", {"training.early_exit": True}, "training.early_exit"),
    ("text-classification", "mpnet", {"training.method": "contrastive"}, "training.method=contrastive"),
    ("retrieval", "mpnet", {}, "retrieval, whose loss compares the texts of a whole step"),
    ("summarization", "bart", {"training.layer_drop": 0.1}, "layers that are dropped at random"),
    ("text-classification", "xlm", {}, "xlm, whose layers"),
    ("text-classification", "bert", {"training.cpu_offload": True}, "training.cpu_offload brings weights to a GPU"),
    ("text-classification", "bert", {"training.deterministic": True}, "training.sharded gradients are added up"),
    ("text-classification", "bert", {"evaluation.precision": "bf16"}, "evaluation.precision=bf16, which copies"),
])
def test_what_cannot_be_sharded_is_refused(task, family, values, words, folder, pool):
    case = Case(rows_of(folder, task), task, model_of(folder, family), {**PLAIN, "training.sharded": True, **values},
                to=str(folder / "refused"))
    (kind, text), = pool.ask("finetuned", case, size=1)
    assert kind == "UserError"
    assert text.startswith("78: "), text
    assert words in text
    assert not (folder / "refused").exists()


@pytest.mark.parametrize(("words", "is_lost"), [
    ("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:4242", True),
    ("[/pytorch/third_party/gloo/gloo/transport/tcp/buffer.cc:77] Timed out waiting 10000ms for send operation", True),
    ("Application timeout caused pair closure", True),
    ("aten.add.Tensor: got mixed torch.Tensor and DTensor, need to convert all torch.Tensor to DTensor before calling "
     "distributed operators!", False),
    ("ProcessGroupGloo::reduce_scatter: invalid tensor size at index 1", False),
    ("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", False),
])
def test_only_a_connection_tells_of_a_lost_process(words, is_lost):
    from headstart.training.distributed import LostProcess, World

    world = World(1, 2)
    with pytest.raises(LostProcess if is_lost else RuntimeError) as caught, world.reached():
        raise RuntimeError(words)
    assert isinstance(caught.value, LostProcess) == is_lost
    assert world.parted.is_set() == is_lost


def test_clusters_without_a_target_have_a_gradient_where_processes_share_a_model():
    import torch

    from headstart.models.transfo_xl.adaptive_softmax import AdaptiveSoftmax
    from headstart.models.transfo_xl.config import TransfoXLConfig

    softmax = AdaptiveSoftmax(TransfoXLConfig(vocab_size=120, cutoffs=[40, 90], d_model=8, d_embed=8, div_val=2))
    for weight in softmax.parameters():
        torch.nn.init.normal_(weight)
    losses = []
    for skips in (True, False):
        softmax.skips_clusters = skips
        softmax.zero_grad()
        losses.append(softmax.losses(torch.ones(3, 8), torch.tensor([1, 2, 3])))
        losses[-1].sum().backward()
        without = [name for name, weight in softmax.named_parameters() if weight.grad is None]
        assert bool(without) == skips, without
    assert torch.equal(*losses)
