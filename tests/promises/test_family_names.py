"""What is peculiar to a family stands in its own file: nowhere else does code ask for a family by its name."""

import ast
from pathlib import Path
from typing import get_args

import pytest

from headstart.contract import Kind
from headstart.models.loading.catalogue import CATALOGUE, UNSUPPORTED

PACKAGE = Path(__file__).parents[2] / "headstart"
PLACES_OF_FAMILIES = (PACKAGE / "models" / "families", PACKAGE / "models" / "transfo_xl")
# (file, word): what else it names there.
OTHER_MEANINGS = {("shipping/package.py", "transfo-xl"): "an extra of the package",
                  **{("models/layer_names.py", name): "the form of a layer, which families' files name"
                     for name in ("bert", "distilbert")},
                  **{("models/tokenizers/class_rules.py", name): "transformers' own table of classes by model_type"
                     for name in ("albert", "bart", "bert", "deberta-v2", "distilbert", "electra", "gpt2", "llama",
                                  "modernbert", "mpnet", "roberta", "xlm-roberta")}}


def plain(word: str) -> str:
    """OpenAIGPT, openai-gpt and openai_gpt are one word."""
    return word.lower().replace("-", "").replace("_", "")


NAMES = {plain(word) for family in CATALOGUE for word in (family.model_type, family.name)} - {plain(kind) for kind in
                                                                                           get_args(Kind)}
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if not set(path.parents) & set(PLACES_OF_FAMILIES)]


def names_in(tree: ast.AST) -> list[tuple[int, str]]:
    """(line, text) of every string in code that is a family's name; docstrings and longer messages are none."""
    return [(node.lineno, node.value) for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and plain(node.value) in NAMES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_code_names_a_family_outside_its_own_file(path):
    place = path.relative_to(PACKAGE).as_posix()
    for line, text in names_in(ast.parse(path.read_text(encoding="utf-8"))):
        assert (place, text) in OTHER_MEANINGS, f"{path}:{line} names {text!r}; let the family's file set a member of " \
                                                "Family, and ask for that"


@pytest.mark.parametrize(("code", "count"), [
    ('if family.model_type == "xlm":\n    pass', 1), ('FAMILIES = ("gpt2", "llama")', 2), ('PREFIX = "OpenAIGPT"', 1),
    ('"""T5 has no positions."""\nhint = f"choose a model of: bert, t5"', 0), ('kind == "encoder-decoder"', 0)])
def test_a_name_is_seen_in_code_and_not_in_sentences(code, count):
    assert len(names_in(ast.parse(code))) == count


def test_the_exceptions_still_stand_and_no_family_is_both_known_and_unsupported():
    for place, text in OTHER_MEANINGS:
        assert text in [value for _, value in names_in(ast.parse((PACKAGE / place).read_text(encoding="utf-8")))]
    assert not NAMES & {plain(name) for name in UNSUPPORTED}
