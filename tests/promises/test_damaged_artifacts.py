"""A saved model of any family, with any file deleted, emptied, cut or one bit of it flipped, predicts as before or is
refused in words: never anything else, never another answer.
"""

import contextlib
import io
import json
import random
import shutil

import pytest
import tiny
import tiny_writers

import headstart as package
from headstart.artifacts import artifact
from headstart.errors import Exit, UserError

FAMILIES = ("bert", "distilbert", "roberta", "xlm-roberta", "modernbert", "albert", "deberta-v2", "gpt2", "ctrl",
            "transfo-xl", "xlnet", "xlm", "t5", "bart", "bert2bert")
REFUSALS = {Exit.DATA, Exit.NO_INPUT, Exit.UNAVAILABLE, Exit.REFUSED, Exit.SETTINGS}
TEXTS = ("The roses were red.", "Nobody counts a broken card in 1984.")
FLIPS, DAMAGES = 3, 200
JSON_VALUES = [None, -3, 0, 1, 2.5, 1e308, "x", "", [], {}, [[5]], True, 10**30, 20_000_000, "\ud83d",
               {"a": {"b": []}}, {"content": 5}, float("nan")]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A published folder of each family, made when it is first asked for."""
    home, folders = tmp_path_factory.mktemp("published"), {}

    def build(family):
        if family not in folders:
            folders[family] = (tiny_writers.model_folder(family, home / family) if family in ("t5", "bart", "bert2bert")
                               else tiny.model_folder(family, home / family, "sequence-classification"))
        return folders[family]

    return build


@pytest.fixture(scope="module")
def saved(published, tmp_path_factory):
    """An artifact of each family, and its answers."""
    home, artifacts = tmp_path_factory.mktemp("saved"), {}

    def build(family):
        if family not in artifacts:
            task, model = artifact.load(str(published(family)), task_name="text-to-text" if family in (
                "t5", "bart", "bert2bert") else None)
            artifact.save(home / family, model, task, "# A card\n", {"golden": [{"text": TEXTS[0]}]})
            artifacts[family] = home / family, answers(home / family)
        return artifacts[family]

    return build


def answers(folder):
    """What the model says of two texts."""
    model = package.load(folder, device="cpu")
    if model.task.generative:
        return [row["prediction"] for row in model.generate(TEXTS, max_new_tokens=4)]
    return [row["probabilities"] for row in model.predict([{"text": text} for text in TEXTS])]


def outcome(folder):
    """The answers, or the refusal; a library in Rust that panics prints that to standard error."""
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            return answers(folder)
        except UserError as error:
            assert error.exit in REFUSALS and error.message, error.message
            return error


def damages(content, rng):
    """Ways in which a file's bytes may be damaged; None: it is gone."""
    yield "delete", None
    yield "empty", b""
    yield "cut", content[:len(content) // 2]
    for _ in range(FLIPS):
        place = rng.randrange(len(content))
        yield f"flip {place}", content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1:]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_damage_of_every_file_of_a_saved_model(family, saved, tmp_path):
    source, expected = saved(family)
    folder, rng = shutil.copytree(source, tmp_path / "model"), random.Random(family)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for way, damaged_content in damages(content, rng):
            path.unlink(missing_ok=True)
            if damaged_content is not None:
                path.write_bytes(damaged_content)
            found = outcome(folder)
            assert isinstance(found, UserError) or found == expected, f"{way} of {path.name}"
            assert isinstance(found, UserError) or path.name == "README.md", f"{way} of {path.name} was not seen"
            path.write_bytes(content)
    assert answers(folder) == expected


def damage_json(content, rng):
    """Replace one value somewhere in a JSON object, or take it away; says which."""
    node = content
    while isinstance(node, dict | list) and node:
        key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        if not isinstance(node[key], dict | list) or not node[key] or rng.random() < 0.3:
            if rng.random() < 0.2 and isinstance(node, dict):
                del node[key]
                return f"{key} taken away"
            node[key] = rng.choice(JSON_VALUES)
            return f"{key} = {node[key]!r}"
        node = node[key]
    return "nothing"


@pytest.mark.parametrize("kind", ["saved", "published"])
@pytest.mark.parametrize("family", ["bert", "gpt2", "transfo-xl", "t5", "bert2bert"])
def test_wrong_values_in_json_files(kind, family, saved, published, tmp_path):
    """A saved model answers as before or is refused; a published one, whose values nobody recorded, never fails
    otherwise.
    """
    source, expected = saved(family) if kind == "saved" else (published(family), None)
    folder = shutil.copytree(source, tmp_path / "model")
    files = sorted(folder.glob("*.json"))
    for seed in range(DAMAGES // 10):
        rng = random.Random(f"{kind} {family} {seed}")
        path = rng.choice(files)
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        way = damage_json(content, rng)
        path.write_text(json.dumps(content), encoding="utf-8")
        try:
            found = outcome(folder)
        except Exception as error:
            raise AssertionError(f"{path.name}, {way}: {error!r}") from error
        assert kind == "published" or isinstance(found, UserError) or found == expected, f"{path.name}, {way}"
        path.write_text(text, encoding="utf-8")
