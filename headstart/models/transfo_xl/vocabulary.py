"""Words of a vocabulary file, in the order of their ids; nothing in the file is ever executed.

    vocab.txt    one word per line, the line's number is the id; what follows a blank or tab is left aside (counts)
    vocab.bin    the published form: a dictionary saved by torch, or a plain pickle of it (vocab.pkl), with
                 idx2sym   list of words
                 sym2idx   word -> id (optional; must agree)
"""

from __future__ import annotations

import io
import pickle
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError

ALLOWED_CLASSES = {("collections", "Counter"): Counter, ("collections", "OrderedDict"): OrderedDict}
TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # the first object of a file that torch saved before 2020
ZIP, PICKLE = b"PK\x03\x04", b"\x80"
MAX_BYTES = 1 << 30  # the published file has 9 million


class SafeUnpickler(pickle.Unpickler):
    """Reads plain values, Counter and OrderedDict; refuses every other class that a pickle names."""

    def find_class(self, module: str, name: str) -> Any:
        """The two classes that are allowed; raises UserError (77) for all others."""
        if (module, name) not in ALLOWED_CLASSES:
            raise UserError(f"a vocabulary holds only plain values, but this one asks to run {module}.{name}",
                            exit=Exit.REFUSED)
        return ALLOWED_CLASSES[module, name]

    def persistent_load(self, reference: Any) -> Any:
        """Refused: a vocabulary has no values outside its pickle."""
        raise UserError("a vocabulary holds only plain values, but this one refers to another place", exit=Exit.REFUSED)


def read_words(path: Path) -> list[str]:
    """The words of a vocabulary file of any of the three forms, told apart by what is in it; raises UserError (65, 66,
    77).
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise invalid_vocabulary(path, f"it has more than {MAX_BYTES:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"Cannot read the vocabulary {path}: {error.strerror}.", fix="Check the path.",
                        exit=Exit.NO_INPUT) from None
    if data.startswith(ZIP):
        words = words_of(read_torch_file(data, path), path)
    elif data.startswith(PICKLE):
        words = words_of(read_pickle(data, path), path)
    else:
        words = read_lines(data, path)
    return check_words(words, path)


def read_lines(data: bytes, path: Path) -> list[str]:
    """The first field of each line."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid_vocabulary(path, f"byte {error.start:,} is not UTF-8") from None
    rows = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    return [row.replace("\t", " ").strip(" ").split(" ")[0] for row in rows]


def read_pickle(data: bytes, path: Path) -> Any:
    """The dictionary of a pickle; torch's older form has the magic number, a version and the machine before it."""
    stream = io.BytesIO(data)
    try:
        content = SafeUnpickler(stream).load()
        if isinstance(content, int) and content == TORCH_MAGIC:
            SafeUnpickler(stream).load()
            SafeUnpickler(stream).load()
            content = SafeUnpickler(stream).load()
    except UserError as error:
        raise UserError(f"{path} was not read: {error.message}.",
                        fix="Use the model's vocab.txt, or write one: one word per line, in the order of their ids.",
                        exit=error.exit) from None
    except Exception as error:  # a broken pickle raises nearly anything
        raise invalid_vocabulary(path, f"it is cut or damaged ({type(error).__name__})") from None
    return content


def read_torch_file(data: bytes, path: Path) -> Any:
    """The dictionary of a file that torch saved since 2020, by torch's own reader of plain values."""
    import torch

    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(f"{path} was not read: a vocabulary holds only plain values, but this one asks to run "
                        "something.",
                        fix="Use the model's vocab.txt, or write one: one word per line, in the order of their ids.",
                        exit=Exit.REFUSED) from None
    except Exception as error:  # a broken archive raises nearly anything
        raise invalid_vocabulary(path, f"it is cut or damaged ({type(error).__name__})") from None


def words_of(content: Any, path: Path) -> list[str]:
    """The words of a published dictionary."""
    words = content.get("idx2sym") if isinstance(content, Mapping) else None
    if not isinstance(words, list):
        raise invalid_vocabulary(path, "it holds no list of words named idx2sym")
    word_ids = content.get("sym2idx")
    if isinstance(word_ids, Mapping) and (len(word_ids) != len(words) or
                                         any(word_ids.get(word) != index for index, word in enumerate(words))):
        raise invalid_vocabulary(path, "its two lists, idx2sym and sym2idx, do not agree")
    return words


def check_words(words: Sequence[Any], path: Path) -> list[str]:
    """The words, each a word without blanks and only once."""
    word_ids: dict[str, int] = {}
    for index, word in enumerate(words):
        if not isinstance(word, str) or not word or any(character in word for character in " \t\n"):
            raise invalid_vocabulary(path, f"the entry with id {index:,} is not a word: {word!r:.60}")
        if word in word_ids:
            raise invalid_vocabulary(path, f"{word!r} occurs twice, with ids {word_ids[word]:,} and {index:,}")
        word_ids[word] = index
    return list(word_ids)


def invalid_vocabulary(path: Path, problem: str) -> UserError:
    """The error of a file that is no vocabulary."""
    return UserError(f"{path} should be the words of a Transformer-XL, but {problem}.",
                     fix="Copy the file again, or write a vocab.txt: one word per line, in the order of their ids.",
                     exit=Exit.DATA)


def write_words(path: Path, words: Sequence[str]) -> None:
    """vocab.txt: one word a line."""
    path.write_bytes("".join(f"{word}\n" for word in check_words(words, path)).encode("utf-8"))
