"""headstart.json: what headstart adds to a model folder, with the SHA-256 of each file that was saved, and of itself.

    "sha256"   {"config.json": "…", "model.safetensors": "…", "tokenizer.json": "…", …}: every file but README.md, which
               may be edited, and this one; what a user puts beside them later is not listed and is left alone
    "seal"     the SHA-256 of all the other fields, keys sorted, without blanks: a threshold or label that was changed
               since is found
    "tokenizer" a few texts and their token ids, and the versions of the libraries that gave them

What was changed on purpose is accepted by `headstart accept FOLDER`, which writes the hashes anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.errors import UserError
from headstart.files import sha256, write_text
from headstart.models.loading.json_files import (
    COPY_AGAIN,
    LIST,
    NULL,
    OBJECT,
    TEXT,
    Kind,
    check_fields,
    damaged,
    list_of,
    number,
    object_of,
    one_of,
    read_json,
    whole_number,
)
from headstart.models.loading.links import check_links
from headstart.settings.values import value_text

METADATA_FILE = "headstart.json"
UNLISTED = (METADATA_FILE, "README.md")
SEAL = "seal"
MARK = "headstart"  # the key of config.json that says that headstart.json belongs to it
MAX_LENGTH = 10_000_000
MEND = "Copy the folder again, or correct the value."
SHA256 = Kind("a SHA-256 in hexadecimal", lambda value: isinstance(value, str)
              and re.fullmatch(r"[0-9a-f]{64}", value) is not None)
TOKEN_IDS = Kind("token ids with spaces between them", lambda value: isinstance(value, str)
                 and re.fullmatch(r"(\d{1,8}( \d{1,8})*)?", value) is not None)
FIELDS = {"headstart": TEXT, "task": TEXT, "task_settings": OBJECT, "learned": OBJECT,
          "max_length": whole_number(1, MAX_LENGTH), "sha256": object_of(SHA256), "tokenizer": OBJECT, SEAL: SHA256,
          "columns": object_of(list_of(TEXT)), "early_exit": OBJECT, "scores": OBJECT, "golden": LIST,
          "model": TEXT | NULL, "precision": object_of(TEXT), "runtime": OBJECT}
LEARNED_FIELDS = {"labels": list_of(TEXT), "counts": list_of(whole_number(0, 2**53)), "values": OBJECT}
POOLING = one_of("mean", "first")
EXIT_FIELDS = {"patience": whole_number(1, 2**31), "threshold": number(0) | NULL, "pooling": POOLING}
VERSION = Kind("versions", lambda value: isinstance(value, str) and re.fullmatch(r"[\w.+-]{1,40}", value) is not None)
TOKENIZER_FIELDS = {"versions": object_of(VERSION), "special_tokens": LIST, "texts": list_of(OBJECT)}
TEXT_FIELDS = {"text": TEXT, "ids": TOKEN_IDS, "target_ids": TOKEN_IDS}


def accept_hint(reference: str | Path, metadata: Mapping[str, Any]) -> str:
    """What to do about a change that was made on purpose, or was not; an export was let out as it was measured."""
    if "runtime" in metadata:
        return f"{COPY_AGAIN} If you changed it on purpose: change the run's model, and export it again."
    return f"{COPY_AGAIN} If you changed it on purpose: headstart accept {reference}"


def seal_of(metadata: Mapping[str, Any]) -> str:
    """The SHA-256 of all fields but the seal itself, as JSON with sorted keys."""
    content = json.loads(json.dumps({name: value for name, value in metadata.items() if name != SEAL}))
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def write(folder: Path, metadata: Mapping[str, Any]) -> None:
    """Write headstart.json with its seal, whole or not at all; raises UserError (74)."""
    write_text(folder / METADATA_FILE, text_of(metadata))


def text_of(metadata: Mapping[str, Any]) -> str:
    """headstart.json with its seal, as its file has it."""
    sealed = dict(metadata) | {SEAL: seal_of(metadata)}
    return json.dumps(sealed, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def read(folder: Path, *, sealed: bool = True) -> dict[str, Any] | None:
    """headstart.json, checked field by field and against its seal; None where there is none. Raises UserError (69)."""
    file = folder / METADATA_FILE
    if not file.exists():
        return None
    check_links(folder, str(folder))
    metadata, place, fix = read_json(file, str(folder)), f"{METADATA_FILE} of {folder}", MEND
    required = tuple(name for name in ("headstart", "task", "task_settings", "learned", "max_length", "sha256",
                                       "tokenizer", SEAL) if sealed or name not in ("sha256", "tokenizer", SEAL))
    check_fields(metadata, FIELDS, place, required=required, fix=fix)
    check_fields(metadata["learned"], LEARNED_FIELDS, f"{place}, in learned,", required=("labels",), fix=fix)
    if "early_exit" in metadata:
        check_fields(metadata["early_exit"], EXIT_FIELDS, f"{place}, in early_exit,", required=tuple(EXIT_FIELDS),
                     fix=fix)
    labels, counts = metadata["learned"]["labels"], metadata["learned"].get("counts") or []
    if len(set(labels)) < len(labels) or len(counts) not in (0, len(labels)):
        raise damaged(f"{place} says learned.labels = {value_text(labels)} with {len(counts)} counts; different "
                      "labels, with as many counts or none, were expected.", fix)
    for name in metadata.get("sha256", {}):
        if not re.fullmatch(r"[^/\\\0]+(/[^/\\\0]+)*", name) or ".." in name.split("/"):
            raise damaged(f"{place} names {name!r} in sha256, which is not a file of this folder.", fix)
    check_tokenizer_fields(metadata.get("tokenizer", {}), place, fix)
    if sealed and metadata[SEAL] != seal_of(metadata):
        raise damaged(f"{place} is not as it was saved: its values were changed since (its seal does not fit them).",
                      accept_hint(folder, metadata))
    return metadata


def check_tokenizer_fields(record: Mapping[str, Any], place: str, fix: str) -> None:
    """Refuse wrong values in what is recorded of the tokenizer; raises UserError (69)."""
    required = tuple(TOKENIZER_FIELDS) if record else ()
    check_fields(record, TOKENIZER_FIELDS, f"{place}, in tokenizer,", required=required, fix=fix)
    for index, entry in enumerate(record.get("texts", ())):
        check_fields(entry, TEXT_FIELDS, f"{place}, in tokenizer.texts[{index}],", required=("text", "ids"), fix=fix)


def file_hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of an artifact, by its name inside the folder; README.md and headstart.json left out.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: sha256(folder / name) for name in names if name not in UNLISTED}


def differences(folder: Path, hashes: Mapping[str, str]) -> dict[str, str]:
    """The files that are not as they were saved, each with the reason: {"vocab.txt": "missing"}."""
    reasons = {name: "missing" if not (folder / name).is_file() else "changed" if sha256(folder / name) != checksum
               else "" for name, checksum in hashes.items()}
    return {name: reason for name, reason in reasons.items() if reason}


def mark_config(folder: Path, version: str) -> None:
    """Write into config.json that headstart.json belongs to it; transformers passes over the key."""
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) | {MARK: version}
    file.write_text(json.dumps(config, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def missing_metadata(folder: Path, reference: str) -> UserError:
    """The error of an artifact without headstart.json."""
    return damaged(f"{reference} lacks {METADATA_FILE}, which holds its task, labels and thresholds; config.json says "
                   "that it was saved with one.",
                   f'{COPY_AGAIN} To use it as a plain transformers folder (after further training there, for '
                   f'example), take the line "{MARK}" out of {folder / "config.json"}.')
