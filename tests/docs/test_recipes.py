"""docs/recipes.md cannot rot: every command of it parses, and every setting, task and preset in it is known."""

import re
import shlex
from pathlib import Path

import pytest

from headstart import settings, tasks
from headstart.cli.main import Parser, find_command
from headstart.preparation import benchmarks
from headstart.settings.run_settings import parse_task_settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"^```\n(.*?)```", PAGE, re.S | re.M) for line in block.splitlines()]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_recipe_parses(command):
    words = shlex.split(command)
    assert words[0] == "headstart"
    parser = Parser(prog=f"headstart {words[1]}", allow_abbrev=False)
    find_command(words[1]).add(parser)
    args, unknown = parser.parse_known_intermixed_args(words[2:])
    assert not unknown
    values = settings.parse_assignments(getattr(args, "set", []))
    settings.build({key: value for key, value in values.items() if not key.startswith("task.")})
    preset = getattr(args, "preset", None)
    task = getattr(args, "task", None) or (benchmarks.find_preset(preset).task if preset else None)
    task_values = {key.removeprefix("task."): value for key, value in values.items() if key.startswith("task.")}
    assert task or not task_values
    if task:
        parse_task_settings(tasks.find(task).Settings, task_values)


def test_every_result_of_2020_has_its_figure_on_the_page():
    for figure in ("0.9055", "88.52", "81.22", "56.53", "0.7094", "22.12", "21.26", "0.3212", "0.2561",
                   "perplexity about **20**"):
        assert figure in PAGE, figure
    assert len(COMMANDS) > 25 and "ot run here" in PAGE
    assert re.findall(r"python (\S+\.py)", PAGE) == [name for name in re.findall(r"python (\S+\.py)", PAGE)
                                                     if (ROOT / name).is_file()]
