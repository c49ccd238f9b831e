"""Whatever cuts a run short, and wherever: what a user types next ends with the same files. Samples of what
`benchmarks/reliability.py` tries in full.
"""

import os
import random
import signal

import pytest
import trials

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
SEED = 20


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    import torch

    torch.set_num_threads(1)  # forked children may not need threads of their parent
    return trials.Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="module")
def work(workshop):
    work = workshop.classification()
    workshop.prepare(work)
    return work


@pytest.fixture(scope="module")
def operation_count(workshop, work):
    return workshop.operations(work)


def sample(count, of, seed=SEED):
    """Numbers spread over 1 to `of`, one at random in each of `count` equal parts."""
    rng = random.Random(seed)
    return [1 + int((part + rng.random()) * of / count) for part in range(count)]


def hold(problem, trial):
    assert not problem, f"{problem}\n" + "\n".join(trial.log)


def test_a_run_killed_at_an_operation_ends_with_the_same_files(workshop, work, operation_count):
    assert operation_count > 100
    for index, number in enumerate(sample(6, operation_count)):
        with workshop.trial(work) as trial:
            hold(trials.kill_trial(trial, number, way=index % 3), trial)


def test_a_kill_while_the_first_file_is_renamed_blocks_nothing(workshop, work):
    for way in (0, 1):
        with workshop.trial(work) as trial:
            trial.to.mkdir()
            (trial.to / ".settings.toml.part").write_text("[run]")
            (trial.to / ".settings.toml.4711.part").write_text("[run]")
            hold(trial.finish(way), trial)


def test_a_run_that_is_replaced_is_there_whole_until_the_new_one_is(workshop, work):
    old_work = trials.Work("old", [*work.arguments, "--seed", "3"])
    with workshop.trial(old_work) as old:
        assert old.run(*old_work.command(old.to)).code == 0
        for number in sample(4, 120):
            with workshop.trial(work) as trial:
                hold(trials.overwrite_trial(trial, old.to, number, expected_old=old.expected), trial)
        for number, again in ((9, 4), (16, 9), (24, 14)):
            with workshop.trial(work) as trial:
                hold(trials.recovery_trial(trial, old.to, number, again, expected_old=old.expected), trial)


def test_a_disk_that_fails_at_an_operation_ends_a_run_with_74_and_leaves_its_checkpoints(workshop, work,
                                                                                         operation_count):
    for index, number in enumerate(sample(6, operation_count)):
        with workshop.trial(work) as trial:
            hold(trials.disk_trial(trial, number, trials.DISK_CODES[index % len(trials.DISK_CODES)]), trial)


def test_a_signal_at_any_phase_exits_75_and_the_run_can_be_finished(workshop, work):
    for index, share in enumerate((0.1, 0.4, 0.8)):
        with workshop.trial(work) as trial:
            hold(trials.signal_trial(trial, share * workshop.seconds[work.name],
                                     (signal.SIGTERM, signal.SIGINT)[index % 2]), trial)


def test_of_several_runs_for_one_folder_one_gets_it(workshop, work):
    with workshop.trial(work) as trial:
        hold(trials.race_trial(trial), trial)


@pytest.mark.parametrize("name", ["", "settings.toml", "log.jsonl"])
def test_what_is_removed_while_a_run_works_is_no_bug(name, workshop, work, operation_count):
    for number in sample(2 if not name else 1, operation_count - 20):
        with workshop.trial(work) as trial:
            hold(trials.removal_trial(trial, max(number, 70) if name else number, name), trial)


@pytest.mark.parametrize("name", ["data.json", "settings.toml", "log.jsonl", "environment.json", "first_batch.json",
                                  "checkpoints/"])
def test_a_damaged_file_of_an_interrupted_run_is_made_again_or_refused(name, workshop, work):
    rng = random.Random(name)
    for damage in rng.sample(list(trials.DAMAGES), 2 if name in ("data.json", "settings.toml") else 1):
        with workshop.trial(work) as trial:
            hold(trials.damage_trial(trial, name, damage, rng), trial)
