"""What was changed in a saved model on purpose is accepted: its hashes are written anew, after it was loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from headstart.artifacts import artifact
from headstart.artifacts.metadata import model_folder, read_metadata
from headstart.errors import Exit, UserError
from headstart.files import disk_errors, sha256, write_text
from headstart.models.loading import manifest
from headstart.models.loading.family_tokenizer import load_family_tokenizer
from headstart.models.loading.model_info import model_info
from headstart.models.loading.sources import is_model_file
from headstart.models.tokenizers.token_record import difference


def accept(reference: str, *, device: str = "cpu") -> list[str]:
    """Record the files and values of a model folder, or a run's, as they are now; what had changed, in sentences.

    A folder that cannot be loaded so is left as it was. Raises UserError (2 for an exported one, 66, 69, 77).
    """
    folder = Path(model_folder(reference))
    metadata = read_metadata(str(folder), sealed=False)
    if metadata is None:
        raise UserError(f"{reference} has no {manifest.METADATA_FILE}: it was not saved by headstart, and nothing is "
                        "recorded of its files.", fix="Use it as it is.", exit=Exit.NO_INPUT)
    if "runtime" in metadata:
        raise UserError(f"{reference} is an export, written as it was scored: changes to it are not accepted.",
                        fix="Change the run's model, and export it again.")
    file = folder / manifest.METADATA_FILE
    with disk_errors(file):
        changes = [f"{name} is {reason}" for name, reason in
                   manifest.differences(folder, metadata.get("sha256", {})).items()]
        if metadata.get(manifest.SEAL) != manifest.seal_of(metadata):
            changes.append(f"values of {file.name} are changed")
        before = file.read_text(encoding="utf-8")
        try:
            changes += record_again(folder, metadata, device)
        except BaseException:
            write_text(file, before)
            raise
    return changes


def record_again(folder: Path, metadata: Mapping[str, Any], device: str) -> list[str]:
    """Write headstart.json for the folder as it is, and load the model; what its tokenizer does otherwise than before.
    """
    record = metadata.get("tokenizer") or {}
    hashes = {name: sha256(folder / name) for name in files_read(folder, metadata.get("sha256", {}))}
    manifest.write(folder, {**metadata, "tokenizer": {}, "sha256": hashes})
    info = model_info(str(folder))
    problem = difference(load_family_tokenizer(info), record) if record else ""
    texts = [entry["text"] for entry in record.get("texts", ())]
    artifact.record_files(folder, metadata, info, texts, hashes)
    artifact.load(str(folder), device=device)
    return [f"the tokenizer is another: {problem}"] if problem else []


def files_read(folder: Path, recorded: Iterable[str]) -> list[str]:
    """The recorded files that are there, and those beside them that a model is read from."""
    beside = [file.name for file in folder.iterdir() if file.is_file() and file.name not in manifest.UNLISTED
              and is_model_file(file.name)]
    return sorted({name for name in [*recorded, *beside] if (folder / name).is_file()})
