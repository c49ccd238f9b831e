"""What stands around the package: extras, lowest versions, workflows, templates, hooks. None names what is not there."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import headstart

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOR_DEVELOPERS = {"test", "check", "bench", "docs"}
BIG = {"ray"}  # hundreds of MB, and not for every Python that headstart runs on
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def make_targets():
    return set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def oldest():
    spec = importlib.util.spec_from_file_location("oldest", ROOT / "wheels" / "oldest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_is_every_extra_that_a_user_may_want():
    (own,) = EXTRAS["all"]
    assert set(re.fullmatch(r"headstart\[([\w,-]+)\]", own)[1].split(",")) == set(EXTRAS) - FOR_DEVELOPERS - BIG - {"all"}


def test_the_lowest_versions_are_those_that_pyproject_states():
    module = oldest()
    assert module.lowest("torch>=2.10") == "torch==2.10" and module.lowest("transformers>=5.1,<6") == "transformers==5.1"
    assert module.lowest("ray[data,serve]>=2.60,<3") == "ray[data,serve]==2.60"
    assert module.lowest("types-PyYAML") == "types-PyYAML"
    lines = module.requirements(["all"])
    assert all("==" in line for line in lines) and {"pyarrow", "torch"} <= {line.split("==")[0] for line in lines}
    assert len(lines) == len(set(lines))


def test_a_package_has_one_lowest_version_in_every_extra():
    versions = {}
    for line in [*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]:
        versions.setdefault(re.match(r"[\w.-]+(?:\[.*\])?", line)[0], set()).add(line)
    assert not {name: lines for name, lines in versions.items() if len(lines) > 1}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_make_targets_that_exist_and_nothing_else(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["name"] == path.stem and workflow["permissions"] == {"contents": "read"}
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands
    for command in commands:
        target = re.fullmatch(r"make ([\w-]+)", command)
        assert target and target[1] in make_targets(), command


def test_the_tests_run_on_every_python_that_is_promised():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    promised = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == promised


def test_templates_and_hooks_are_read_and_name_what_is_there():
    for path in TEMPLATES:
        template = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert path.stem == "config" or (template["name"] and template["description"] and template["body"])
    assert {path.stem for path in TEMPLATES} == {"bug", "feature", "question", "config"}
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    for hook in (hook for repository in hooks for hook in repository["hooks"]):
        for word in hook["entry"].split():
            assert not word.startswith("tests/") or (ROOT / word).is_file(), word


def test_the_subset_of_make_oldest_is_there():
    (line,) = re.findall(r"^SUBSET \?= (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert [name for name in line.split() if not (ROOT / name).exists()] == []


def test_the_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == headstart.__version__ and citation["license"] == PROJECT["license"]
