"""One flag, one meaning: across all commands, and between columns and everything else."""

import argparse
from collections import defaultdict

import pytest

from headstart import tasks
from headstart.cli import _flags
from headstart.cli.generate import flag_settings
from headstart.cli.main import command_names, command_parser


def every_flag():
    """{flag: {command: action}}, the flags of all tasks' columns too."""
    flags = defaultdict(dict)
    for command in command_names():
        parser = command_parser(command)
        _flags.add_column_flags(parser)
        for action in parser._actions:
            for flag in action.option_strings:
                flags[flag][command] = action
    return flags


FLAGS = every_flag()
# The one flag of two meanings: `inspect --pair TEXT2` is a second text, and with --probe the column that --pair names
# elsewhere.
assert FLAGS["--pair"].pop("inspect").metavar == "TEXT2"
# --labels names labels to a model that has none of the user's, and the column of labels to one of several for each text.
for command in ("predict", "evaluate", "serve"):
    assert FLAGS["--labels"].pop(command).metavar == "LABELS"
# `inspect` reads no file but with --probe: these are the texts of one row themselves.
for row_flag in ("--question", "--passage", "--target"):
    assert FLAGS[row_flag].pop("inspect").metavar == "TEXT"


def meaning(action):
    """What a flag is, without what is particular to one command."""
    return type(action), action.metavar, action.type, action.nargs, (action.help or "").split(";")[0]


@pytest.mark.parametrize("flag", sorted(flag for flag, actions in FLAGS.items() if len(actions) > 1))
def test_a_flag_means_the_same_in_every_command(flag):
    actions = FLAGS[flag]
    if all(action.dest.startswith("column_") for action in actions.values()):
        assert {(action.metavar, action.type, action.dest) for action in actions.values()} == {
            ("COLUMN", None, f"column_{flag.removeprefix('--')}")}
    else:
        assert len({meaning(action) for action in actions.values()}) == 1, {
            command: meaning(action) for command, action in actions.items()}


def test_a_flag_of_a_column_names_nothing_else():
    columns = {f"--{field.name}" for name in tasks.names() for field in tasks.find(name).fields}
    columns |= {flag for flag, actions in FLAGS.items()
                if any(action.metavar == "COLUMN" for action in actions.values())}
    assert {"--text", "--source", "--target", "--passages", "--pair"} <= columns
    for flag in columns:
        for command, action in FLAGS[flag].items():
            assert action.metavar == "COLUMN" and action.dest == f"column_{flag.removeprefix('--')}", (flag, command)


def test_every_flag_says_what_it_is():
    for flag, actions in FLAGS.items():
        for command, action in actions.items():
            assert action.help and action.help != argparse.SUPPRESS, (flag, command)


def test_generation_has_the_flags_of_generation_config():
    from transformers import GenerationConfig

    names = {setting.key.removeprefix("generation.") for setting in flag_settings()}
    assert {"max_new_tokens", "num_beams", "temperature", "top_p", "length_penalty", "repetition_penalty"} <= names
    assert all(hasattr(GenerationConfig(), name) for name in names)
    assert {f"--{name.replace('_', '-')}" for name in names} | {"--sample", "--chat"} <= {
        flag for flag, actions in FLAGS.items() if "generate" in actions}


@pytest.mark.parametrize(("command", "key"), [
    ("predict", "training.epochs=3"), ("predict", "evaluation.resamples=3"), ("check", "evaluation.resamples=3"),
    ("generate", "data.bad_rows=skip"), ("embed", "task.overlap=3"), ("finetune", "distil.layers=3"),
    ("finetune", "index.overlap=3"), ("distil", "adapter.rank=3"), ("ask", "steering.gamma=1")])
def test_a_setting_that_a_command_never_reads_is_refused(command, key, headstart, tmp_path):
    arguments = {"check": 1, "finetune": 1, "generate": 1}.get(command, 2)
    code, _, stderr = headstart(command, *[tmp_path / "none"] * arguments, "--set", key)
    assert code == 78 and f"never reads {key.split('=')[0]}" in stderr


def test_a_settings_file_may_hold_what_other_commands_read(trained_run, headstart):
    run, _ = trained_run
    code, stdout, stderr = headstart("predict", run, "--settings", run / "settings.toml", "--value", "text=the roses")
    assert code == 0 and "good" in stdout, stderr
