"""Writes docs/reference.md from the settings and finding codes themselves: python docs/make_reference.py"""

from pathlib import Path

from headstart.cli._flags import all_settings
from headstart.cli.main import command_names, find_command
from headstart.data.checks.codes import CODES
from headstart.errors import Exit
from headstart.settings import default_text

MEANINGS = {
    Exit.SUCCESS: "done", Exit.USAGE: "wrong usage", Exit.DATA: "the data (or a loss that is no number)",
    Exit.NO_INPUT: "input not found",
    Exit.UNAVAILABLE: "a model, package or machine part can't be had",
    Exit.BUG: "a bug of headstart; the details are in a file that is named",
    Exit.EXISTS: "the run folder is in use or would be overwritten", Exit.DISK: "the disk",
    Exit.INTERRUPTED: "interrupted and saved: headstart resume",
    Exit.REFUSED: "refused for safety", Exit.SETTINGS: "a setting",
}


def main() -> None:
    lines = ["# Reference", "", "Made by `docs/make_reference.py` from the code; the tests hold it to be complete.", "",
             "## Commands", ""]
    lines += [f"- `headstart {name}`: {find_command(name).SUMMARY}" for name in command_names()]
    lines += ["", "## Settings", "", "Flag beats `--set GROUP.NAME=VALUE` beats `--settings FILE.toml` beats default.",
              "", "| setting | default | takes | meaning |", "|---|---|---|---|"]
    for setting in all_settings():
        bounds = f", {setting.note.bounds()}" if setting.note.bounds() else ""
        lines.append(f"| `{setting.key}` | {default_text(setting.default)} | {setting.type_name}{bounds} | "
                     f"{setting.note.help} |")
    lines += ["", "## What a file can have", "",
              "The same three classes of trouble everywhere. **N**: handled and stated. **E**: a fault, exit code 65 "
              "(rows with faults can be left "
              "out by `--bad-rows skip`). **W**: a warning, exit code 0, or 65 with `--strict`.", "",
              "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in CODES.items()]
    lines += ["", "## Exit codes", "", "| code | meaning |", "|---|---|",
              *[f"| {code.value} | {text} |" for code, text in MEANINGS.items()], ""]
    Path(__file__).with_name("reference.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
