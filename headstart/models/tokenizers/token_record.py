"""How a tokenizer reads a few texts, recorded with the model: another vocabulary, or another version of a library that
reads them otherwise, is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.models.loading.json_files import COPY_AGAIN, damaged
from headstart.models.tokenizers.vocabulary import vocabulary_error

if TYPE_CHECKING:
    from headstart.models.tokenizers.tokenizer import FamilyTokenizer


def versions() -> dict[str, str]:
    """The versions of the libraries that turn texts to ids."""
    import tokenizers
    import transformers

    return {"transformers": str(transformers.__version__), "tokenizers": str(tokenizers.__version__)}


# Texts that tokenizers disagree on: case, accents in both forms, blanks, digits, signs, scripts, pictures, controls.
PROBE_TEXTS = (
    "The old captain can't find 7 green apples, doesn't he?", "CAFÉ Café café cafe\u0301", " two  blanks\tand\na line ",
    "3,141.59 + 1e-9 = $12 (50 %) & #tag @name https://example.org/a_b?c=d", "naïve Straße œuvre Łódź İstanbul ﬁn",
    "Добрый день, мир", "日本語のテキスト。中文，한국어", "مرحبا بالعالم שלום", "नमस्ते दुनिया ก็ดี", "👍🏽 🇪🇺 👨‍👩‍👧 ☃",
    "a\u00a0b\u200bc\u00add\ufeff", "antidisestablishmentarianism " * 2)


def token_record(tokenizer: FamilyTokenizer, texts: Sequence[str], *, language_tokens: bool) -> dict[str, Any]:
    """What headstart.json keeps of a tokenizer: the libraries' versions, its special tokens around texts, and some
    texts with their ids.

    A model with language tokens has other special tokens for each language: none are kept.
    """
    return {"versions": versions(), "special_tokens": [] if language_tokens else special_tokens(tokenizer),
            "texts": [{"text": text, **{name: " ".join(map(str, token_ids)) for name, token_ids in ids.items()}}
                      for text, ids in ids_by_text(tokenizer, dict.fromkeys([*PROBE_TEXTS, *texts])).items()]}


def special_tokens(tokenizer: FamilyTokenizer) -> list[list[list[list[int]]]]:
    """The special tokens before, between and after one text, and two, each as [id, token type]."""
    return [[[list(pair) for pair in run] for run in template]
            for template in (tokenizer.single_template, tokenizer.pair_template)]


def ids_by_text(tokenizer: FamilyTokenizer, texts: Iterable[str]) -> dict[str, dict[str, list[int]]]:
    """Each text's ids without special tokens, and those as a target text where its model has two vocabularies."""
    readers = {"ids": tokenizer}
    if not getattr(tokenizer.hf_tokenizer, "is_fast", False):
        target = tokenizer.with_target_tokenizer(1).target
        readers |= {"target_ids": target} if target.backend is not tokenizer.backend else {}
    return {text: {name: list(reader.tokenize(text).ids) for name, reader in readers.items()} for text in texts}


def check_ids(tokenizer: FamilyTokenizer, rows: int, reference: str) -> None:
    """Refuse a tokenizer that cannot read ordinary texts, or gives ids without an embedding; raises UserError (69)."""
    for text, ids in ids_by_text(tokenizer, PROBE_TEXTS).items():
        wrong = [token_id for token_ids in ids.values() for token_id in token_ids if not 0 <= token_id < rows]
        if wrong:
            raise vocabulary_error(reference, f"gives {text!r} the id {wrong[0]:,}, and the model has {rows:,} "
                                   "embeddings")


def check_record(tokenizer: FamilyTokenizer, record: Mapping[str, Any], reference: str) -> None:
    """Refuse a tokenizer that reads the recorded texts otherwise than when they were recorded; raises UserError (69).
    """
    problem = difference(tokenizer, record)
    if not problem:
        return
    installed, saved = versions(), record["versions"]
    changed = {name: saved[name] for name, version in installed.items() if saved.get(name, version) != version}
    libraries = "".join(f" It was saved with {name} {version}, installed is {installed[name]}."
                        for name, version in changed.items())
    install = f"pip install {' '.join(f'{name}=={version}' for name, version in changed.items())}, or train again."
    raise damaged(f"The tokenizer of {reference} is not the one that its model was trained with: {problem}.{libraries}",
                  f"{install if changed else COPY_AGAIN} To use it all the same: headstart accept {reference}")


def difference(tokenizer: FamilyTokenizer, record: Mapping[str, Any]) -> str:
    """The first difference between what a tokenizer does and what is recorded, in words; "" where there is none."""
    ids = ids_by_text(tokenizer, [entry["text"] for entry in record["texts"]])
    for entry in record["texts"]:
        expected = {name: [int(token_id) for token_id in entry[name].split()] for name in ("ids", "target_ids")
                    if name in entry}
        if ids[entry["text"]] != expected:
            name = next((name for name in expected if ids[entry["text"]].get(name) != expected[name]), "ids")
            read_ids, saved_ids = ids[entry["text"]].get(name, []), expected.get(name, [])
            return (f"it reads {entry['text'][:40]!r} as {len(read_ids)} tokens ({str(read_ids[:6])[1:-1]} …), and "
                    f"{len(saved_ids)} ({str(saved_ids[:6])[1:-1]} …) were recorded")
    if record["special_tokens"] and special_tokens(tokenizer) != record["special_tokens"]:
        return "it puts other special tokens around a text than were recorded"
    return ""
