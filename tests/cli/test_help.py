"""Help: one screen, one task, or everything; and it comes at once."""

import os
import subprocess
import sys

import pytest

from headstart import tasks
from headstart.cli import _flags
from headstart.cli.main import command_names, command_parser
from headstart.settings import list_settings

SETTING_COMMANDS = [name for name in command_names() if command_parser(name).get_default("settings_read")]
TASK_COMMANDS = [name for name in SETTING_COMMANDS
                 if command_parser(name).get_default("columns_of") == _flags.ALL_TASKS]


@pytest.fixture(autouse=True)
def narrow_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("command", command_names())
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_one_screen(command, flag, headstart):
    code, stdout, stderr = headstart(command, flag)
    assert (code, stderr) == (0, "") and len(stdout.splitlines()) <= 45, stdout
    assert stdout.startswith(f"usage: headstart {command}") and "--help-all" in stdout


@pytest.mark.parametrize("command", SETTING_COMMANDS)
def test_help_all_shows_every_flag_and_every_setting_that_the_command_reads_and_no_other(command, headstart):
    parser = command_parser(command)
    code, stdout, _ = headstart(command, "--help-all")
    reads = parser.get_default("settings_read")
    assert code == 0 and reads
    for setting in _flags.all_settings(with_tasks=False):
        assert (f"  {setting.key} = " in stdout) == setting.key.startswith(reads), setting.key
    for action in parser._actions:
        for flag in action.option_strings:
            assert flag in stdout
    if command in TASK_COMMANDS:
        for task in map(tasks.find, tasks.names()):
            for field in task.fields:
                assert f"--{field.name} COLUMN" in stdout and field.help in stdout
            for setting in list_settings("task", task.Settings):
                assert (f"  {setting.key} = " in stdout and setting.note.help in stdout) == ("task.".startswith(reads))


@pytest.mark.parametrize("name", tasks.names())
def test_the_help_of_a_task_has_its_columns_and_settings_in_its_own_words_and_those_of_no_other(name, headstart):
    task = tasks.find(name)
    for argv in (["--task", name, "--help"], ["-h", f"--task={name}"]):
        code, stdout, _ = headstart("finetune", *argv)
        assert code == 0 and task.summary in stdout
        columns = {line.split()[0].removeprefix("--"): line[24:].removesuffix(" (may be missing)")
                   for line in stdout.splitlines() if line.startswith("  --")}
        assert columns == {field.name: field.help for field in task.fields}
        keys = [line.split()[0] for line in stdout.splitlines() if line.startswith("  task.")]
        assert keys == [setting.key for setting in list_settings("task", task.Settings)]
        assert ("\n  generation:" in stdout) == (task.generative or task.draws_samples())


def test_a_column_has_the_words_of_the_task_that_was_named(headstart):
    for name in ("regression", "summarization"):
        target = next(field for field in tasks.find(name).fields if field.name == "target")
        assert f"--target COLUMN       {target.help}\n" in headstart("finetune", "--task", name, "--help")[1]
        assert f"--target COLUMN       {target.help}\n" in headstart("predict", "--task", name, "--help-all")[1]


def test_help_for_a_task_that_there_is_not_says_what_there_is(headstart):
    code, stdout, stderr = headstart("finetune", "--task", "regresion", "--help")
    assert (code, stdout) == (2, "") and "Did you mean regression?" in stderr


def test_help_after_two_dashes_is_a_text(headstart, tmp_path):
    code, _, stderr = headstart("generate", tmp_path / "none", "--", "--help")
    assert code == 66 and "none" in stderr


@pytest.mark.parametrize("arguments", [["finetune", "--help"], ["generate", "--help"],
                                       ["finetune", "--task", "long-answer", "--help"]])
def test_help_comes_at_once(arguments):
    seconds = []
    for _ in range(5):
        before = os.times()
        subprocess.run([sys.executable, "-m", "headstart", *arguments], check=True, capture_output=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(seconds) <= 0.3
