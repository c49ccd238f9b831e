"""Training in many processes: the same bits as in one, one fate for all, and nothing at all where there is one."""

import json
import re

import numpy as np
import pytest
import tiny
import tiny_writers
from process_pool import Case, case_folder, open_pool
from test_every_family_finetunes import training_rows

from headstart.data.features.batches import shared_micro_batches

PLAIN = {"training.batch_size": 6, "training.max_steps": 3, "training.precision": "fp32", "data.split": "80/20/0", "evaluation.folds": 0,
         "training.micro_batch_size": 3, "training.learning_rate": 1e-3}
CASES = {  # name -> family, task, settings
    "text-classification": ("distilbert", "text-classification", {}),
    "bf16": ("bert", "text-classification", {"training.precision": "bf16"}),
    "padded": ("bert", "text-classification", {"training.batcher": "bucketed"}),
    "class weights, label smoothing": ("bert", "text-classification", {"training.class_weights": "balanced",
                                                                       "training.label_smoothing": 0.1}),
    "token-tagging": ("roberta", "token-tagging", {}),
    "question-answering": ("bert", "question-answering", {}),
    "multiple-choice": ("deberta-v2", "multiple-choice", {}),
    "retrieval": ("mpnet", "retrieval", {}),
    "next-sentence and masks": ("bert", "bert-pretraining", {}),
    "replaced tokens": ("electra", "replaced-token-detection", {}),
    "language-model": ("gpt2", "language-model", {}),
    "streams": ("transfo-xl", "language-model", {}),
    "summarization": ("t5", "summarization", {}),
    "lora": ("bert", "text-classification", {"training.adapter": "lora", "adapter.rank": 2}),
    "early exit": ("bert", "regression", {"training.early_exit": True}),
    "contrastive": ("mpnet", "text-classification", {"training.method": "contrastive"}),
    "adafactor": ("bert", "multilabel-classification", {"training.optimizer": "adafactor"}),
    "distillation": ("bert", "text-classification", {}),
}


pool, folder = map(pytest.fixture(scope="module"), (open_pool, case_folder))


def rows_of(folder, task):
    path = folder / f"{task}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in training_rows(task, 30)), encoding="utf-8")
    return str(path)


def model_of(folder, family, head=None, **options):
    path = folder / f"{family}-{head}"
    if not path.exists():
        (tiny_writers if family in tiny_writers.ENCODER_DECODERS else tiny).model_folder(
            family, path, *([head] if head else []), **options)
    return str(path)


def case_of(folder, name):
    family, task, values = CASES[name]
    rows = rows_of(folder, task)
    if name == "distillation":
        teacher = model_of(folder, "bert", "sequence-classification", labels=["maybe", "no", "yes"])
        return Case(rows, task, None, {**PLAIN, "distil.layers": "1"}, teacher)
    return Case(rows, task, model_of(folder, family), {**PLAIN, **values})


@pytest.mark.parametrize("name", CASES)
def test_any_number_of_processes_ends_with_the_bits_of_one(name, folder, pool):
    case = case_of(folder, name)

    def trained(size, micro, *, deterministic=False):
        answers = pool.ask("training", case, {"micro_batch_size": micro, "deterministic": deterministic}, size=size)
        assert len({answer["sum"] for answer in answers}) == 1  # all hold the same
        assert len({tuple(answer["losses"]) for answer in answers}) == 1
        return answers[0]

    two, three = trained(1, 3), trained(1, 2)
    assert (two["micro"], three["micro"]) == (2, 3)
    for one, other in ((two, trained(2, 3)), (three, trained(2, 2, deterministic=True)),
                       (three, trained(3, 2, deterministic=True)), (two, trained(3, 3, deterministic=True))):
        assert other["losses"] == one["losses"]
        assert other["sum"] == one["sum"]
    quick = trained(3, 2)
    assert np.linalg.norm(quick["gradient"] - three["gradient"]) <= 1e-6 * np.linalg.norm(three["gradient"])
    assert quick["losses"] == pytest.approx(three["losses"], rel=1e-5)


def reviews_case(folder, name, **values):
    values = {f"training.{key}": value for key, value in {"epochs": 2, "batch_size": 6, "deterministic": True,
                                                          "shares": 3, "learning_rate": 1e-3}.items()} | {
        "evaluation.resamples": 0, "evaluation.baselines": False, "evaluation.explained_errors": 0,
        "evaluation.folds": 0} | values
    return Case(rows_of(folder, "text-classification"), "text-classification", model_of(folder, "bert"), values,
                to=str(folder / name))


def weights_of(run):
    return (run / "model" / "model.safetensors").read_bytes()


def ends(answers):
    return [answer[0] for answer in answers]


def test_a_run_with_folds_ends_with_the_bits_of_one_and_only_the_leader_writes(folder, pool):
    one = reviews_case(folder, "folds-1", **{"evaluation.folds": 2})
    many = reviews_case(folder, "folds-3", **{"evaluation.folds": 2})
    assert ends(pool.ask("finetuned", one, size=1)) == [one.to]
    before = set(folder.iterdir())
    answers = pool.ask("finetuned", many, size=3)
    assert ends(answers) == [many.to] * 3
    assert "3 processes share the 3 micro-batches of a step" in answers[0][1]
    assert answers[1][1] == answers[2][1] == ""  # followers say nothing
    assert {path.name for path in set(folder.iterdir()) - before} == {"folds-3"}
    assert weights_of(folder / "folds-1") == weights_of(folder / "folds-3")
    predictions = [(folder / name / "predictions.jsonl").read_bytes() for name in ("folds-1", "folds-3")]
    assert predictions[0] == predictions[1]


def test_a_training_that_begins_again_does_so_in_all_processes(folder, pool):
    values = {"training.learning_rate": 0.9, "training.back_off": "on", "training.max_grad_norm": 0.0}
    words = []
    for name, size in (("again-1", 1), ("again-3", 3)):
        answers = pool.ask("function", "finetuned_with_nan", reviews_case(folder, name, **values), size=size)
        assert ends(answers) == [str(folder / name)] * size
        words.append([line for line in answers[0][1].splitlines() if "begins again" in line])
    assert words[0] == words[1] != []
    assert weights_of(folder / "again-1") == weights_of(folder / "again-3")


def finetuned_with_nan(world, case):
    """A run whose second micro-batch of step 4 has no loss, as it is computed by whichever process, the first time."""
    import process_pool

    from headstart.training import loop

    original, steps = loop.step_gradients, []

    def broken(model, weights, batches, objectives, *arguments, **keywords):
        steps.append(len(steps))
        whole = list(objectives)
        if len(steps) == 4:
            objectives = [whole[0], lambda model, batch: whole[1](model, batch) * float("nan"), *whole[2:]]
        return original(model, weights, batches, objectives, *arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "step_gradients", broken)
        return process_pool.finetuned(world, case)


def test_too_little_memory_in_one_process_halves_the_micro_batch_in_all(folder, pool):
    case = case_of(folder, "padded")
    answers = [answer for size in (1, 2, 3)
               for answer in pool.ask("function", "trained_with_little_memory", case, size=size)]
    assert {answer["size"] for answer in answers} == {1}
    assert len({answer["sum"] for answer in answers}) == 1


def trained_with_little_memory(world, case):
    """A training in which micro-batch 1 of more than 2 examples does not fit, in whichever process computes it."""
    import process_pool

    from headstart.training import loop

    original = loop.step_gradients

    def small(model, weights, batches, objectives, *arguments, **keywords):
        def objective(model, batch):
            if len(batch.weights) > 2:
                raise RuntimeError("not enough memory: you tried to allocate 1 bytes")
            return whole[1](model, batch)

        whole = list(objectives)
        return original(model, weights, batches, [whole[0], objective, *whole[2:]], *arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "step_gradients", small)
        return process_pool.training(world, case, {"micro_batch_size": 3, "deterministic": True})


def test_an_error_of_the_leader_is_told_once_and_ends_all(folder, pool):
    case = reviews_case(folder, "held")
    (folder / "held").mkdir()
    (folder / "held" / "notes.txt").write_text("mine")
    answers = pool.ask("finetuned", case, size=3)
    assert ends(answers) == ["UserError", "followed", "followed"]
    assert all("holds files that are not a run's" in words for _, words in answers)
    faulty = reviews_case(folder, "faulty", **{"data.max_length": 8, "training.focal_gamma": 1.0,
                                               "training.method": "contrastive"})
    answers = pool.ask("finetuned", faulty, size=3)
    assert ends(answers) == ["UserError", "followed", "followed"]
    assert not (folder / "faulty").exists()


def test_processes_that_do_not_start_alike_are_refused_with_what_differs(folder, pool):
    for change, words in (("settings", "training.epochs is 2.0 in process 0 and 3.0 in process 1"),
                          ("version", "transformers is '.*' in process 0 and '0.1' in process 1"),
                          ("file", "process 1 differs from process 0 in the rows of its files"),
                          ("missing", "Process 1 of 3 could not begin: ")):
        case = reviews_case(folder, f"unlike-{change}")
        answers = pool.ask("function", "finetuned_unlike", case, change, size=3)
        assert ends(answers) == ["UserError", "followed", "followed"], answers
        assert re.search(words, answers[0][1]), answers
        assert not (folder / f"unlike-{change}").exists()


def finetuned_unlike(world, case, change):
    """A run in which process 1 has something else."""
    import dataclasses
    import importlib.metadata
    import shutil

    import process_pool

    from headstart.runs import follow

    with pytest.MonkeyPatch.context() as patch:
        if world.rank == 1 and change == "settings":
            case = dataclasses.replace(case, values=case.values | {"training.epochs": 3})
        if world.rank == 1 and change == "version":
            version = importlib.metadata.version
            patch.setattr(importlib.metadata, "version", lambda name: "0.1" if name == "transformers" else version(name))
        if world.rank == 1 and change in ("file", "missing"):
            other = f"{case.rows}-other.jsonl"
            if change == "file":
                shutil.copy(case.rows, other)
                with open(other, "a", encoding="utf-8") as file:
                    file.write('{"text": "one more row", "label": "no"}\n')
            prepare = follow.prepare
            patch.setattr(follow, "prepare", lambda settings, reporter, errors: prepare(
                dataclasses.replace(settings, train=other if change == "file" else "gone.jsonl"), reporter, errors))
        return process_pool.finetuned(world, case)


def test_one_process_calls_nothing_of_torch_distributed(folder, pool):
    case = reviews_case(folder, "alone")
    answers = pool.ask("function", "finetuned_without_collectives", case, size=1)
    assert ends(answers) == [case.to], answers


def finetuned_without_collectives(world, case):
    """A run in which every function of torch.distributed fails."""
    import process_pool
    import torch.distributed as dist

    from headstart.training.open_world import shared_run

    def refuse(*arguments, **keywords):
        raise AssertionError("a world of one process calls nothing of torch.distributed")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("all_reduce", "broadcast", "broadcast_object_list", "all_gather", "all_gather_object", "new_group",
                     "init_process_group", "barrier", "destroy_process_group", "rendezvous"):
            patch.setattr(dist, name, refuse)
        for name in ("RANK", "WORLD_SIZE"):
            patch.delenv(name, raising=False)
        with shared_run() as alone:
            return process_pool.finetuned(alone, case)


def test_shares_are_of_about_equal_length_and_their_micro_batches_alternate():
    lengths = np.asarray([9, 8, 7, 6, 5, 4, 3])
    parts = shared_micro_batches(np.arange(7), lengths, 2, 2)
    assert [lengths[part].tolist() for part in parts] == [[8, 7], [9, 6], [4, 3], [5]]
    rng = np.random.default_rng(0)
    for count, size, shares in ((64, 64, 2), (65, 8, 3), (2, 4, 3), (1, 1, 2), (31, 5, 4)):
        lengths = rng.integers(1, 200, count)
        step = rng.permutation(count)
        parts = shared_micro_batches(step, lengths, size, shares)
        assert sorted(np.concatenate(parts).tolist()) == list(range(count))
        assert max(map(len, parts)) <= size
        width = min(shares, count)
        sums = [sum(lengths[part].sum() for part in parts[share::width]) for share in range(width)]
        assert count < 10 or max(sums) - min(sums) <= 2 * lengths.max()


def test_a_follower_that_cannot_begin_a_training_says_nothing_more(monkeypatch):
    """The leader is sending weights then: what it sends is no message."""
    from headstart.runs import follow
    from headstart.training.distributed import Message, World

    messages = iter([(Message.PREPARE, (None, {})), (Message.BEGIN, (None, {}))])
    monkeypatch.setattr(World, "hear", lambda self: next(messages))
    monkeypatch.setattr(follow, "start_alike", lambda world, make: (type("Start", (), {"prepared": None}), world))

    def train_along(self, beginning, description):
        raise MemoryError("no room for the optimizer")

    monkeypatch.setattr(follow.Follower, "train_along", train_along)
    world = World(1, 2)
    with pytest.raises(MemoryError):
        follow.follow(world, {})
    assert world.parted.is_set()
