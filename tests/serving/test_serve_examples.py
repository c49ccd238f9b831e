"""examples/serve.md and docs/serve.md are true: each curl command is asked of a server, and answers have the fields that
stand there.
"""

import itertools
import json
import re
import shlex
from pathlib import Path

import pytest
from clients import loaded, serving

from headstart.cli import serve as command
from headstart.cli.main import command_parser
from headstart.serving.app import Endpoints
from headstart.serving.openapi import STATUSES

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "examples" / "serve.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def client():
    with serving({"requests-run": loaded("classes")}) as open_client:
        yield open_client


def test_every_command_of_the_example_is_answered_as_it_says(client):
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", EXAMPLE, re.S | re.M)
    answers, statuses = [], []
    for language, block in blocks:
        if language == "json":
            assert json.loads(block).keys() in [answer.keys() for answer in answers], block
            continue
        answers = []
        for words in map(shlex.split, block.splitlines()):
            if words[0] != "curl":
                continue
            options = dict(itertools.pairwise(words))
            path = next(word for word in words if word.startswith("http://")).removeprefix("http://127.0.0.1:8000")
            status, _, content = client.send("POST" if "-d" in words else "GET", path,
                                             options["-d"].encode() if "-d" in words else None)
            statuses.append(status)
            answers += [] if path == "/metrics" else [json.loads(content)]
    assert statuses == [200] * 6 + [422]
    assert "'txt'" in answers[0]["error"]["message"] and answers[0]["error"]["faulty_rows"] == 3


def test_the_page_names_every_path_status_and_flag(client):
    for _, path, _ in Endpoints(client.service).routes():
        assert f"`{path}`" in PAGE or f" {path}`" in PAGE or path in ("/", "/try.css", "/try.js", "/icon.svg"), path
    for status in STATUSES:
        assert re.search(rf"^\| [\d, ]*{status}", PAGE, re.M), status
    flags = {flag for action in command_parser("serve")._actions for flag in action.option_strings}
    for flag in re.findall(r"(?<=`)--[a-z-]+", PAGE):
        assert flag in flags, flag
    assert command.TOKEN_VARIABLE in PAGE
