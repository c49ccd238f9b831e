"""The files of examples/scale start headstart by command lines that it takes, and torchrun by ones that torchrun takes."""

import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from pages import check_command

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "examples" / "scale").iterdir())
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def script(path):
    """The shell lines that a file runs, each whole."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".yaml":
        content = yaml.safe_load(text)
        text = content["run"] if "run" in content else content["spec"]["trainer"]["command"][-1]
    return [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.strip().startswith("#")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_headstart_takes_every_command_line(path):
    lines = script(path)
    commands = [shlex.split(line)[2:] for line in lines if line.startswith("set -- ")]
    commands += [shlex.split(line.partition("headstart ")[2]) for line in lines
                 if "headstart" in line and '"$@"' not in line and not line.startswith("set -- ")]
    assert commands
    for command in commands:
        check_command(command)
    assert {command[0] for command in commands} == ({"predict"} if path.name == "ray.sh" else {"resume", "finetune"})


@pytest.mark.parametrize("path", [path for path in FILES if path.name != "ray.sh"], ids=lambda path: path.name)
def test_torchrun_takes_its_line(path):
    from torch.distributed.run import get_args_parser

    (line,) = [line for line in script(path) if "torchrun" in line]
    variables = {"nnodes": "2", "nproc-per-node": "8", "node-rank": "0"}
    words = [variables.get(flag, word) if "$" in word else word for flag, word in zip(
        ["", *(word.removeprefix("--") for word in shlex.split(line))], shlex.split(line), strict=False)]
    arguments = get_args_parser().parse_args(words[words.index("torchrun") + 1:])
    assert arguments.module and arguments.training_script == "headstart"


def test_the_documents_for_clusters_are_of_the_kind_that_they_say():
    kubeflow = yaml.safe_load((ROOT / "examples" / "scale" / "kubeflow.yaml").read_text(encoding="utf-8"))
    assert (kubeflow["apiVersion"], kubeflow["kind"]) == ("trainer.kubeflow.org/v1alpha1", "TrainJob")
    sky = yaml.safe_load((ROOT / "examples" / "scale" / "skypilot.yaml").read_text(encoding="utf-8"))
    assert {"num_nodes", "resources", "setup", "run"} <= set(sky)


def test_the_page_names_every_file_and_its_commands_are_taken():
    for path in FILES:
        assert f"examples/scale/{path.name}" in PAGE
    commands = re.findall(r"^headstart (.+)$", PAGE, re.M)
    assert commands
    for command in commands:
        check_command(shlex.split(command))


def test_the_cost_model_gives_the_figures_of_the_page(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    module = importlib.import_module("cost_model")
    measured = json.loads(module.RESULT.read_text(encoding="utf-8")) if module.RESULT.exists() else {}
    assert module.section(measured) == module.section_of(PAGE)
    one = module.step_seconds(module.MODELS[0], 1, 64)
    assert one.exchange == 0 and module.step_seconds(module.MODELS[0], 8, 64).compute == pytest.approx(one.compute)
    fitted = module.fit({1: 100.0, 2: 180.0, 3: 240.0})
    assert fitted.rate(1) == pytest.approx(100, rel=0.05) and fitted.error < 0.1
