"""A tokenizer's chat template, rendered in a process of its own with limits: it is a program of the model's publisher.

    template = ChatTemplate(hf_tokenizer.chat_template, hf_tokenizer.special_tokens_map)
    template.render([([{"role": "user", "content": "Hi"}], True)])     ["<|im_start|>user\\nHi<|im_end|>\\n…"]
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError
from headstart.models.tokenizers import template_process

MAX_BYTES = 256_000  # of a template; published ones have up to 20,000
SECONDS = 5.0  # of processor time for one text; published ones take a thousandth of a second
MEMORY = 1_000_000_000  # bytes of the process that renders
CHARACTERS = 1_000_000  # that a template may add to a conversation
WITHOUT = "To go on without it: --set task.chat=false in training, --set generation.layout=raw in generation."
HOSTILE = {"memory": f"takes more than {MEMORY // 10**6:,} MB of memory",
           "unsafe": "reaches for what a template may not",
           "time": f"takes more than {SECONDS:g} seconds for one text",
           "length": f"writes more than {CHARACTERS:,} characters of its own"}
FATAL = ("memory", "unsafe", "length", "missing", "broken")  # after which the process is not asked again
# how the process ends that took too long: by the timer's signal, or by the clock's limit
TIME_CODES = (-getattr(signal, "SIGPROF", 0), 1)
Message = Mapping[str, str]
Conversation = tuple[Sequence[Message], bool]  # whether it asks


class ChatTemplate:
    """Conversations as texts; the process that renders them starts with the first, and ends with this object.

    Threads may share one; after a fork, or in a process of workers, each has its own.
    """

    def __init__(self, template: str, special_tokens: Mapping[str, Any]) -> None:
        self.__setstate__({"template": template, "special_tokens": {
            name: token if isinstance(token, list) else str(token) for name, token in special_tokens.items()}})

    def __getstate__(self) -> dict[str, Any]:
        return {"template": self.template, "special_tokens": self.special_tokens}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.template: str = state["template"]
        self.special_tokens: Mapping[str, Any] = state["special_tokens"]
        self.process: subprocess.Popen[str] | None = None
        self.process_owner, self.lock = 0, threading.Lock()

    def render(self, conversations: Sequence[Conversation]) -> list[str]:
        """Conversations as the model reads them; one that asks (True), up to where the answer begins.

        Raises UserError: 65 where the template refuses a conversation, 69 where it is broken, 77 where it is too large,
        does not end, or does what no template may.
        """
        with self.lock:
            if self.process is None or self.process_owner != os.getpid():
                self.start()
            return [self.text_of(reply) for reply in self.ask(
                [[[dict(message) for message in messages], asks] for messages, asks in conversations])]

    def start(self) -> None:
        """Start the process that renders; the lock is held."""
        size = len(self.template.encode("utf-8", "surrogatepass"))
        if size > MAX_BYTES:
            raise hostile(f"has {size:,} bytes, more than {MAX_BYTES:,}")
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(template_process.__file__))], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8")
        self.process_owner = os.getpid()
        weakref.finalize(self, end_process, self.process, self.process_owner)
        for reply in self.ask({"paths": sys.path, "template": self.template, "tokens": self.special_tokens,
                               "seconds": SECONDS, "bytes": MEMORY, "characters": CHARACTERS}):
            self.text_of(reply)

    def ask(self, message: Any) -> list[dict[str, str]]:
        """What the process answers to a message, or with which fault it ended over it."""
        process = self.process
        assert process is not None and process.stdin is not None and process.stdout is not None, "it was started"
        line = ""
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(message) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
        except BaseException:  # interrupted: the answer would be taken for the next one's
            self.stop()
            raise
        replies: list[dict[str, str]] = json.loads(line) if line.endswith("\n") else []
        if not replies or any(reply.get("fault") in FATAL for reply in replies):
            code = self.stop()
            return replies or [{"fault": "time" if code in TIME_CODES else "crash", "message": f"code {code}"}]
        return replies

    def text_of(self, reply: Mapping[str, str]) -> str:
        """The text of an answer; raises UserError for a fault."""
        fault, message = reply.get("fault"), reply.get("message", "")
        if fault is None:
            return reply["text"]
        if fault in HOSTILE:
            raise hostile(HOSTILE[fault])
        if fault == "refused":
            raise UserError(f"The chat template refuses the conversation: {message}",
                            fix=f"Change the conversation to what it takes. {WITHOUT}", exit=Exit.DATA)
        if fault == "missing":
            raise UserError(f"The chat template needs a package that is not here: {message}",
                            fix="pip install jinja2", exit=Exit.UNAVAILABLE)
        problem = f"ends the process that renders it ({message})" if fault == "crash" else f"is broken: {message}"
        raise UserError(f"The tokenizer's chat template {problem}",
                        fix=f"Copy the model's folder again, or correct chat_template.jinja. {WITHOUT}",
                        exit=Exit.UNAVAILABLE)

    def stop(self) -> int | None:
        """End the process, and say how it ended; the next text starts another."""
        process, self.process = self.process, None
        return None if process is None else end_process(process, self.process_owner)


def end_process(process: subprocess.Popen[str], owner: int) -> int | None:
    """End a process that renders, in the process that started it: a fork shares its pipes and must leave it alone."""
    if owner != os.getpid():
        return None
    with contextlib.suppress(OSError, ValueError):
        process.communicate(timeout=1)  # its input ends, and so does it
    if process.poll() is None:
        process.kill()
        process.wait()
    return process.returncode


def hostile(problem: str) -> UserError:
    """The error for a template that is not rendered (77)."""
    return UserError(f"The tokenizer's chat template {problem}; it is not used.",
                     fix=f"Use this model only if you trust it. {WITHOUT}", exit=Exit.REFUSED)
