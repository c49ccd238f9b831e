"""What stands on the pages of the documentation: their files, commands and snippets, and whether they are to be run.

A page is run from its top to its end in a folder of its own: files that it shows (`name`: and a block) are written, blocks of
`sh` and `python` are run on tiny models, and each line of a block of `text` must stand in what the block before it printed.
A block behind the line `<!-- not run: REASON -->` is checked only: its flags, settings and names must exist.
"""

import argparse
import ast
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from headstart import settings, tasks
from headstart.cli import _flags
from headstart.cli.main import command_names, command_parser, parse
from headstart.settings.run_settings import parse_task_settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"(?:^<!-- not run: (?P<reason>[^\n]+) -->\n)?(?:^`(?P<name>[\w./-]+)`:\n\n)?"
                   r"^```(?P<language>\w*)\n(?P<content>.*?)^```$", re.S | re.M)
PIECES = re.compile(r"(\||>|&&|;)")


@dataclass(frozen=True)
class Block:
    """A block of a page; `name` is the file that it shows, `reason` why it is not run."""

    language: str
    content: str
    name: str = ""
    reason: str = ""


def page_names() -> list[str]:
    """Every page, by its path below docs/."""
    return sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if "_build" not in path.parts)


def page_text(name: str) -> str:
    """A page as it is written."""
    return (DOCS / name).read_text(encoding="utf-8")


def page_blocks(name: str) -> list[Block]:
    """The blocks of a page, in order."""
    return [Block(match["language"], match["content"], match["name"] or "", match["reason"] or "")
            for match in BLOCK.finditer(page_text(name))]


def block_commands(block: Block) -> list[list[str]]:
    """The words of each headstart command of a block; what follows a pipe or a redirection is left out. In a block of
    outputs commands stand behind a dollar sign.
    """
    lines = re.sub(r"\\\n\s*", " ", block.content).splitlines()
    start = r"\$ headstart [a-z]" if block.language == "text" else r"(\$ )?headstart [a-z]"
    return [command_words(line) for line in lines if re.match(start, line)]


def command_words(line: str) -> list[str]:
    """A command line as words, from the first word behind `headstart`."""
    lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="|>&;")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words = list(lexer)
    end = next((place for place, word in enumerate(words) if PIECES.fullmatch(word)), len(words))
    return words[1:end]


def prose_of(text: str) -> str:
    """A page's text without its blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)


def inline_commands(name: str) -> list[list[str]]:
    """The commands inside sentences and tables, without those that are cut short (…)."""
    texts = re.findall(r"`(headstart [a-z][^`]*)`", prose_of(page_text(name)))
    return [command_words(text.replace("\n", " ")) for text in texts if "…" not in text and not re.search(r"\b[A-Z]{4,} --", text)]


def check_command(words: list[str]) -> argparse.Namespace:
    """Its arguments; raises what a user would see: a flag, setting, task or value that there is not."""
    assert words[0] in command_names(), words
    arguments, unknown = parse(command_parser(words[0]), words[1:])
    assert not unknown, f"headstart {words[0]} does not know {unknown}"
    values = settings.parse_assignments(getattr(arguments, "set", None) or [])
    keys = {setting.key for setting in _flags.all_settings()}
    assert set(values) <= keys, f"no such setting: {sorted(set(values) - keys)}"
    if hasattr(arguments, "settings"):  # a file of settings is the reader's own
        _, _, values = _flags.read_values(argparse.Namespace(**vars(arguments) | {"settings": None}))
    _flags.build_groups(values)
    task = getattr(arguments, "task", None)
    if task in tasks.names():
        parse_task_settings(tasks.find(task).Settings, {key.removeprefix("task."): value for key, value in values.items()
                                                        if key.startswith("task.")})
    return arguments


def headstart_names(code: str) -> set[str]:
    """The names of `headstart` that a snippet uses: headstart.NAME, and from headstart import NAME."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "headstart":
            names.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and node.module == "headstart":
            names |= {alias.name for alias in node.names}
    return names


def calls_of(code: str) -> list[tuple[str, set[str]]]:
    """The calls of functions of `headstart` in a snippet, with the names of their keywords."""
    return [(node.func.attr, {keyword.arg for keyword in node.keywords if keyword.arg})
            for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name) and node.func.value.id == "headstart"]


class TinyModels(ast.NodeTransformer):
    """A snippet on tiny models, with one epoch and few resamples where it trains."""

    def __init__(self, models: dict[str, str], default: str) -> None:
        self.models, self.default = models, default

    def visit_Constant(self, node):
        return ast.copy_location(ast.Constant(self.models.get(node.value, node.value)), node) if isinstance(
            node.value, str) else node

    def visit_Call(self, node):
        self.generic_visit(node)
        if ast.unparse(node.func) == "headstart.finetune":
            keywords = {keyword.arg for keyword in node.keywords}
            quick = {"model": self.default, "evaluation": {"resamples": 5, "baselines": False, "explained_errors": 0}}
            if "method" not in keywords:
                quick["epochs"] = 1
            quick = {name: value for name, value in quick.items() if name not in keywords}
            epochs = [keyword for keyword in node.keywords if keyword.arg == "epochs"]
            for keyword in epochs:
                keyword.value = ast.Constant(1)
            node.keywords += [ast.keyword(name, ast.parse(repr(value), mode="eval").body) for name, value in quick.items()]
        return node


def tiny_code(code: str, models: dict[str, str], default: str, filename: str):
    """The compiled snippet, on tiny models."""
    tree = ast.fix_missing_locations(TinyModels(models, default).visit(ast.parse(code)))
    return compile(tree, filename, "exec")
