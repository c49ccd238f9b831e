"""Whether a model folder holds its vocabulary, and the one that its model was trained with.

Without its files the library makes up a vocabulary of the special tokens alone, and every word becomes the unknown one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.models.loading.json_files import COPY_AGAIN, damaged

if TYPE_CHECKING:
    from headstart.errors import UserError

VOCABULARY_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "spm.model", "sentencepiece.bpe.model",
                    "sentencepiece.model", "tokenizer.model", "source.spm", "vocab.bin", "vocab.pkl", "tekken.json",
                    "tiktoken.model")
OPTIONAL_FILES = ("tokenizer_file", "tokenizer_config_file", "target_vocab_file")
LOWEST_SHARE = 0.5  # of the embeddings that have a piece: tables are padded, and keep rows for tokens to come
NEEDS_UNKNOWN = ("WordPiece", "WordLevel")  # models that fail at a word that they cannot spell


def check_files(folder: Path) -> None:
    """Refuse a folder without any vocabulary file; raises UserError (69)."""
    if not any((folder / name).is_file() for name in VOCABULARY_FILES):
        raise damaged(f"{folder} has no vocabulary: none of {', '.join(VOCABULARY_FILES[:7])} … is there.",
                      f"Every word would be unknown to the model. {COPY_AGAIN}")


def check_class_files(hf_tokenizer: Any, folder: Path) -> None:
    """Refuse a folder without the files that its tokenizer's class reads; raises UserError (69)."""
    if getattr(hf_tokenizer, "is_fast", False) and (folder / "tokenizer.json").is_file():
        return
    names = {role: name for role, name in type(hf_tokenizer).vocab_files_names.items() if role not in OPTIONAL_FILES}
    absent = [name for name in names.values() if not (folder / name).is_file()]
    has_any_form = len(names) > 1 and "merges_file" not in names and len(absent) < len(names)
    if absent and not has_any_form:
        raise damaged(f"{folder} lacks {' and '.join(absent)}, which {type(hf_tokenizer).__name__} reads"
                      f"{'' if (folder / 'tokenizer.json').is_file() else ' where there is no tokenizer.json'}.")


def check_pieces(hf_tokenizer: Any, rows: int, reference: str) -> None:
    """Refuse a vocabulary that cannot be that of a model with so many embeddings; raises UserError (69).

    It is empty, or holds special tokens alone; two pieces share an id; an id is beyond the embeddings; most embeddings
    have no piece; the token for unknown words is missing.
    """
    pieces: dict[str, int] = hf_tokenizer.get_vocab()
    special_pieces = {str(token) for token in [*hf_tokenizer.all_special_tokens, *hf_tokenizer.get_added_vocab()]}
    if len(pieces.keys() - special_pieces) <= 1:
        raise vocabulary_error(reference, f"holds no words, only {len(pieces)} special tokens: every word would be "
                               "unknown")
    ids = pieces.values()
    if set(map(type, ids)) != {int} or min(ids) < 0 or max(ids) >= rows:
        piece, token_id = next((piece, token_id) for piece, token_id in pieces.items()
                               if type(token_id) is not int or not 0 <= token_id < rows)
        raise vocabulary_error(reference, f"gives {piece!r} the id {token_id!r}, and the model has {rows:,} "
                               f"embeddings for {len(pieces):,} pieces")
    if len(pieces) < LOWEST_SHARE * rows:
        raise vocabulary_error(reference, f"has {len(pieces):,} pieces, and the model {rows:,} embeddings: it is cut "
                               "off, or belongs to another model")
    own_ids = [token_id for piece, token_id in pieces.items() if piece not in special_pieces]
    if len(set(own_ids)) < len(own_ids):
        raise vocabulary_error(reference, "gives two pieces the same id")
    words: Any = hf_tokenizer.backend_tokenizer.model if getattr(hf_tokenizer, "is_fast", False) else None
    if type(words).__name__ in NEEDS_UNKNOWN and words.token_to_id(words.unk_token) is None:
        raise vocabulary_error(reference, f"lacks the token for unknown words, {words.unk_token!r}")


def vocabulary_error(reference: str, problem: str) -> UserError:
    """The error of a vocabulary that is not the model's (69)."""
    return damaged(f"The vocabulary of {reference} {problem}.",
                   f"Tokenizer and model do not belong together, or a file is damaged. {COPY_AGAIN}")
