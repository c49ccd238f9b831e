"""examples/serve.md and docs/serve.md are true: the server is started by its line, each command is run, and answers have
the fields that stand there.
"""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from clients import folder_of
from test_serve_command import process

from headstart.cli import _serving_flags
from headstart.cli.main import command_parser
from headstart.serving.app import Endpoints
from headstart.serving.openapi import STATUSES
from headstart.serving.service import Service

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "examples" / "serve.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")


BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", EXAMPLE, re.S | re.M)


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """The example's server, started by its own line beside a run of that name."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(folder_of("classes"), folder / "requests-run")
    (line,) = [line for _, block in BLOCKS for line in block.splitlines() if line.startswith("headstart serve")]
    words = shlex.split(line)
    with process(*words[2:], cwd=folder) as (_, port):
        yield port


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_command_of_the_example_is_answered_as_it_says(port):
    answers, statuses = [], []
    for language, block in BLOCKS:
        if language == "json":
            assert json.loads(block).keys() in [answer.keys() for answer in answers], block
            continue
        answers = []
        for line in block.splitlines() if language == "sh" else ():
            if line.startswith("curl"):
                answer = subprocess.run(f"{at_port(line, port)} -w '\\n%{{http_code}}'", shell=True, check=True, text=True,
                                        capture_output=True).stdout
                content, _, status = answer.rpartition("\n")
                statuses.append(int(status))
                answers += [] if "/metrics" in line else [json.loads(content)]
    assert statuses == [200] * 6 + [422]
    assert "'txt'" in answers[0]["error"]["message"] and answers[0]["error"]["faulty_rows"] == 3


def test_the_example_s_python_runs(port, capsys):
    blocks = [block for language, block in BLOCKS if language == "python"]
    assert len(blocks) == 2
    for block in blocks:
        if "import openai" in block and importlib.util.find_spec("openai") is None:
            continue
        exec(compile(at_port(block, port), "serve.md", "exec"), {})
        assert capsys.readouterr().out.strip()


def at_port(text, port):
    """A line of the example, asked of the test's server."""
    return text.replace("127.0.0.1:8000", f"127.0.0.1:{port}")


def test_the_page_names_every_path_status_and_flag():
    for _, path, _ in Endpoints(Service()).routes():
        assert f"`{path}`" in PAGE or f" {path}`" in PAGE or path in ("/", "/try.css", "/draw.js", "/try.js", "/icon.svg"), path
    for status in STATUSES:
        assert re.search(rf"^\| [\d, ]*{status}", PAGE, re.M), status
    flags = {flag for action in command_parser("serve")._actions for flag in action.option_strings}
    for flag in re.findall(r"(?<=`)--[a-z-]+", PAGE):
        assert flag in flags, flag
    assert _serving_flags.TOKEN_VARIABLE in PAGE
