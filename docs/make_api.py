"""Writes docs/api.md from the public names of headstart and their docstrings: python docs/make_api.py"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import headstart
from headstart.errors import Exit

PAGE = Path(__file__).with_name("api.md")
VERSION = ("The version of headstart.", 'print(headstart.__version__)')
HEADER = """# The Python interface

Made by `docs/make_api.py` from the docstrings; the tests hold it to be current, and run every example.

All of these are names of `headstart` itself; nothing else has to be imported. Settings are keyword arguments with the
names of [the reference](reference.md): `headstart.finetune("reviews.csv", epochs=3)`. What a run tells its listeners is in
`headstart.progress`; what a package of your own adds is described in [add a task](add-a-task.md),
[a reader](add-a-reader.md), [a metric](add-a-metric.md) and [a family](add-a-family.md).
"""


def first_sentence(docstring: str) -> str:
    """The first paragraph up to the end of its first sentence, on one line."""
    paragraph = " ".join(docstring.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s+(?=[A-Z`])", paragraph)[0].removesuffix(":")


def example(docstring: str) -> str:
    """The code of the first example (>>> and ...) of a docstring; "" where there is none."""
    statements = re.findall(r"^\s*>>> .*(?:\n\s*\.\.\. .*)*", docstring, re.M)
    codes = [re.sub(r"^\s*(?:>>>|\.\.\.) ", "", statement, flags=re.M) for statement in statements]
    text = ""
    for before, code in zip(["", *codes], codes, strict=False):
        is_definition = re.match(r"def |class ", before) or re.match(r"def |class ", code)
        text += ("\n\n" if is_definition else "\n") + code
    return text.strip()


def annotation(text: Any) -> str:
    """A type as it is read: without the help of a setting, and without quotes around the whole."""
    text = str(text).strip('"')
    if not text.startswith("Annotated["):
        return text
    depth = 0
    for index, letter in enumerate(text):
        depth += (letter in "[(") - (letter in "])")
        if letter == "," and depth == 1:
            return text[len("Annotated["):index]
    raise AssertionError(f"{text} has no note")


def parameter_text(parameter: inspect.Parameter) -> str:
    """One parameter with type and default."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = f"{stars}{parameter.name}"
    if parameter.annotation is not inspect.Parameter.empty:
        text += f": {annotation(parameter.annotation)}"
    if parameter.default is inspect.Parameter.empty:
        return text
    default = parameter.default
    is_factory = type(default).__name__ == "_HAS_DEFAULT_FACTORY_CLASS"
    return f"{text} = {'…' if is_factory else f'Exit.{default.name}' if isinstance(default, Exit) else repr(default)}"


def signature(name: str, member: Any, *, method: bool = False) -> str:
    """A function or class as it is called, one argument a line where it is long."""
    described = inspect.signature(member)
    parameters = [parameter for parameter in described.parameters.values() if parameter.name != "self"]
    parts = [parameter_text(parameter) for parameter in parameters]
    keyword = next((index for index, parameter in enumerate(parameters)
                    if parameter.kind is inspect.Parameter.KEYWORD_ONLY), None)
    if keyword is not None and all(parameter.kind is not inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        parts.insert(keyword, "*")
    has_result = not isinstance(member, type) and described.return_annotation is not inspect.Signature.empty
    arrow = f" -> {annotation(described.return_annotation)}" if has_result else ""
    line = f"{name}({', '.join(parts)}){arrow}"
    if method or len(line) <= 100:
        return line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){arrow}"


def members(kind: type) -> list[str]:
    """Its public methods and properties: signature and first sentence."""
    lines = []
    for name in sorted(name for name in dir(kind) if not name.startswith("_")):
        member = inspect.getattr_static(kind, name)
        if isinstance(member, property | classmethod | staticmethod) or inspect.isfunction(member):
            call = name if isinstance(member, property) else signature(name, getattr(kind, name), method=True)
            lines.append(f"- `{call}`: {first_sentence(inspect.getdoc(member) or '')}")
    return lines


def entry(name: str) -> str:
    """One public name: signature, first sentence, example, members of a class."""
    if name == "__version__":
        sentence, code = VERSION
        return f"## `headstart.{name}`\n\n{sentence}\n\n```python\n{code}\n```\n"
    member = getattr(headstart, name)
    docstring = inspect.getdoc(member) or ""
    is_exception = isinstance(member, type) and issubclass(member, Exception)
    parts = [f"## `headstart.{name}`", f"```\n{signature(name, member)}\n```", first_sentence(docstring),
             f"```python\n{example(docstring)}\n```"]
    if isinstance(member, type) and not is_exception and (lines := members(member)):
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def page() -> str:
    """The whole page."""
    return HEADER + "\n" + "\n".join(entry(name) for name in headstart.__all__)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
