"""A program that renders one chat template: a line of JSON in, a line of JSON out, until its input ends.

A template is a program of whoever published the model. It runs here, away from the user's process, with a limit of
processor time for each text (`seconds`) and of memory (`bytes`): a loop without end ends this process and nothing else.

    {"paths": […], "template": "…", "tokens": {"bos_token": "<s>"}, "seconds": 5, "bytes": 10000, "characters": 1000}
    [[[{"role": "user", "content": "Hi"}], true], …]  ->  [{"text": "…"}, …]  or  [{"fault": "…", "message": "…"}, …]

It imports nothing of headstart, so that it starts in a fraction of a second.
"""

from __future__ import annotations

import contextlib
import datetime
import faulthandler
import functools
import json
import signal
import sys
from collections.abc import Callable
from typing import Any

WALL_FACTOR = 6  # seconds of the clock for one of the processor, where only the clock can be asked


def build(template: str) -> Any:
    """The template compiled in jinja's sandbox, with the names that plain transformers gives it."""
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class GenerationBlock(Extension):
        """{% generation %} … {% endgeneration %}: what is between, as it is."""

        tags = {"generation"}  # noqa: RUF012 - jinja reads it of the class

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.Scope(body, lineno=line)

    class PlainNamespace(jinja2.utils.Namespace):
        """A namespace without names that begin with an underscore."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            values = dict(*args, **kwargs)
            for name in values:
                check_name(name)
            super().__init__(values)

        def __setitem__(self, name: str, value: Any) -> None:
            check_name(name)
            super().__setitem__(name, value)

    def check_name(name: object) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a namespace takes no name {name!r}")

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                                extensions=[GenerationBlock, loopcontrols])
    environment.filters["tojson"] = to_json
    environment.globals |= {"raise_exception": refuse, "namespace": PlainNamespace,
                            "strftime_now": lambda form: datetime.datetime.now().strftime(form)}
    return environment.from_string(template)


class Refusal(Exception):
    """What a template says with raise_exception: that it does not lay out this conversation."""


def refuse(message: object) -> None:
    """A template's raise_exception."""
    raise Refusal(str(message))


def to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None,
            separators: tuple[str, str] | None = None, sort_keys: bool = False) -> str:
    """A value as JSON, without the escapes that web pages need."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def answer(action: Callable[[], str], characters: int) -> dict[str, str]:
    """The text, or which fault the template has: "refused", "unsafe", "memory", "length" or "broken"."""
    import jinja2

    try:
        text = action()
        return {"text": text} if len(text) <= characters else {"fault": "length", "message": f"{len(text):,}"}
    except Refusal as error:
        return {"fault": "refused", "message": str(error)[:500]}
    except jinja2.exceptions.SecurityError as error:
        return {"fault": "unsafe", "message": str(error)[:500]}
    except MemoryError:
        return {"fault": "memory", "message": ""}
    except Exception as error:  # whatever a foreign program does wrong
        line = getattr(error, "lineno", None)
        return {"fault": "broken", "message": f"{type(error).__name__}: {error}"[:500] + (
            "" if line is None else f" (line {line})")}


class Renderer:
    """The template with the tokens that it may write."""

    def __init__(self, tokens: dict[str, Any]) -> None:
        self.tokens = tokens
        self.template: Any = None

    def compile(self, template: str) -> str:
        """Read the template; no text comes of that."""
        self.template = build(template)
        return ""

    def render(self, messages: list[dict[str, str]], asks: bool) -> str:
        """One conversation as text."""
        text: str = self.template.render(messages=messages, add_generation_prompt=asks, tools=None, documents=None,
                                         **self.tokens)
        return text


class TimeLimit:
    """Ends this process when what is inside takes longer: neither jinja nor C code can be stopped otherwise."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __enter__(self) -> None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, self.seconds)  # of the processor: other programs may be busy
        else:  # Windows
            faulthandler.dump_traceback_later(WALL_FACTOR * self.seconds, exit=True)

    def __exit__(self, *_: object) -> None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_PROF, 0)
        else:
            faulthandler.cancel_dump_traceback_later()


def limit_memory(size: int) -> None:
    """No more memory than this, where the system knows such a limit."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Read the template, then render conversation after conversation."""
    def write(replies: list[dict[str, str]]) -> None:
        sys.stdout.write(json.dumps(replies) + "\n")
        sys.stdout.flush()

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks decides when this ends
    order = json.loads(sys.stdin.readline())
    sys.path[:] = order["paths"]
    try:
        import jinja2  # noqa: F401 - told here when it is missing
    except ImportError as error:
        write([{"fault": "missing", "message": str(error)}])
        return
    limit_memory(order["bytes"])
    limit, renderer = TimeLimit(order["seconds"]), Renderer(order["tokens"])
    with limit:
        built = answer(lambda: renderer.compile(order["template"]), 0)
    write([built])
    for line in sys.stdin if "text" in built else ():
        replies = []
        for messages, asks in json.loads(line):
            with limit:
                replies.append(answer(functools.partial(renderer.render, messages, asks),
                                      order["characters"] + 8 * len(line)))
        write(replies)


if __name__ == "__main__":
    main()
