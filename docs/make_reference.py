"""Writes docs/reference.md from the settings and finding codes themselves: python docs/make_reference.py"""

from pathlib import Path

from headstart import tasks
from headstart.cli.main import command_names, find_command
from headstart.contract import Task
from headstart.data.checks.codes import CODES
from headstart.errors import Exit
from headstart.settings import GROUPS, Setting, default_text, list_settings
from headstart.settings.keywords import READ_WHEN

MEANINGS = {
    Exit.SUCCESS: "done", Exit.USAGE: "wrong usage", Exit.DATA: "the data (or a loss that is no number)",
    Exit.NO_INPUT: "input not found",
    Exit.UNAVAILABLE: "a model, package or machine part can't be had",
    Exit.BUG: "a bug of headstart; the details are in a file that is named",
    Exit.EXISTS: "the run folder is in use or would be overwritten", Exit.DISK: "the disk",
    Exit.INTERRUPTED: "interrupted and saved: headstart resume",
    Exit.REFUSED: "refused for safety", Exit.SETTINGS: "a setting",
}


def reference() -> str:
    """docs/reference.md."""
    lines = ["# Reference", "", "Made by `docs/make_reference.py` from the code; the tests hold it to be current.", "",
             "## Commands", ""]
    lines += [f"- `headstart {name}`: {find_command(name).SUMMARY}" for name in command_names()]
    lines += ["", "`headstart COMMAND --help` is one screen, `--help-all` has every flag and setting, `--task NAME --help` the columns and "
              "settings of a task.", "", "## Settings", "",
              "Flag beats `--set GROUP.NAME=VALUE` beats `--settings FILE.toml` beats default. In Python they are keywords: by their "
              "own name where one setting that the run reads has it (`epochs=3`), by group (`training={\"epochs\": 3}`), or in full "
              "(`**{\"task.temperature\": 0.01}`). A setting that a run never reads is refused.", ""]
    for group, group_class in GROUPS.items():
        when = f" Read only {READ_WHEN[group]}." if group in READ_WHEN else ""
        summary = " ".join(str(group_class.__doc__).split("\n\n")[0].split())
        lines += [f"### {group}", "", f"{summary}{when}", "", *settings_table(list_settings(group, group_class)), ""]
    lines += ["## Tasks", "", "A column's name is its flag (`--text review`) and its key in `columns={\"text\": \"review\"}`.", ""]
    for name in tasks.builtin_names():
        lines += task_lines(tasks.find(name))
    lines += ["## What a file can have", "",
              "The same three classes of trouble everywhere. **N**: handled and stated. **E**: a fault, exit code 65 "
              "(rows with faults can be left "
              "out by `--bad-rows skip`). **W**: a warning, exit code 0, or 65 with `--strict`.", "",
              "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in CODES.items()]
    lines += ["", "## Exit codes", "", "| code | meaning |", "|---|---|",
              *[f"| {code.value} | {text} |" for code, text in MEANINGS.items()], ""]
    return "\n".join(lines)


def task_lines(task: type[Task]) -> list[str]:
    """A task's columns and settings."""
    lines = [f"### {task.name}", "", f"{task.summary[:1].upper()}{task.summary[1:]}.", "", "| column | may be missing | what it is |", "|---|---|---|"]
    lines += [f"| `{field.name}` | {'' if field.required else 'yes'} | {cell(field.help)} |" for field in task.fields]
    group_settings = list_settings("task", task.Settings)
    return [*lines, "", *(settings_table(group_settings) if group_settings else ["It has no settings of its own."]), ""]


def settings_table(group_settings: list[Setting]) -> list[str]:
    """Settings as a table."""
    lines = ["| setting | default | takes | meaning |", "|---|---|---|---|"]
    for setting in group_settings:
        bounds = f", {setting.note.bounds()}" if setting.note.bounds() else ""
        lines.append(f"| `{setting.key}` | {default_text(setting.default)} | {setting.type_name}{bounds} | "
                     f"{cell(setting.note.help)} |")
    return lines


def cell(text: str) -> str:
    """A text inside a table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    Path(__file__).with_name("reference.md").write_text(reference(), encoding="utf-8")
