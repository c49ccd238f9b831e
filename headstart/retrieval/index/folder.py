"""An index's folder: one process builds at a time, readers see the old or the new index whole.

    INDEX/
      index.json          the version, its settings and model, size and SHA-256 of every part: renamed last
      0f3a…/              the version: passages, documents, words, vectors
      building/ journal/  the next version while it is made, and vectors that are ready for it
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError
from headstart.files import clear_leftovers, hash_json, locked_folder, replace, settle, sha256, write_text

MANIFEST, FORMAT = "index.json", 1
VERSION = re.compile(r"[0-9a-f]{16}")
BUILDING, JOURNAL, LOCK = "building", "journal", ".lock"
CALIBRATION = "abstention.json"  # what was calibrated on it
ROWS = "documents.jsonl"  # of documents that were passed in memory


def is_index(path: Path) -> bool:
    """Whether a folder is an index, whole or not."""
    return (path / MANIFEST).is_file()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock an index's folder while it is built; raises UserError (73) when another process holds it or when it is
    something else.
    """
    if path.is_dir() and (foreign_names := sorted(file.name for file in path.iterdir()
                                                  if not is_index_file(file.name))):
        raise UserError(f"{path} holds files that are not an index's ({foreign_names[0]}).",
                        fix="Choose another folder with --to.", exit=Exit.EXISTS)
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file; an index is a folder.", fix="Choose another place with --to.",
                        exit=Exit.EXISTS)
    with locked_folder(path, in_use="is being built already", fix="Wait for it, or choose another folder with --to.",
                       name=LOCK):
        clear_leftovers(path, (MANIFEST, CALIBRATION, ROWS))
        yield


def is_index_file(name: str) -> bool:
    """Whether a file of this name in an index's folder belongs to the index."""
    is_known = name in (MANIFEST, BUILDING, JOURNAL, LOCK, CALIBRATION, ROWS) or name.startswith(
        (f".{MANIFEST}", f".{CALIBRATION}", f".{ROWS}"))
    return is_known or VERSION.fullmatch(name) is not None


def read_manifest(path: Path) -> dict[str, Any]:
    """index.json; raises UserError: 66 where there is none, 65 for one that is damaged or of another format."""
    manifest: Any = None
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise missing_index(path) from None
    except NotADirectoryError:
        raise UserError(f"{path} is a file; an index is a folder.", fix="Name its folder.",
                        exit=Exit.NO_INPUT) from None
    except (OSError, ValueError):
        pass
    if isinstance(manifest, dict) and manifest.get("format", FORMAT) != FORMAT:
        raise UserError(f"{path} is an index of format {manifest['format']}; this headstart reads format {FORMAT}.",
                        fix="Build it again with this headstart.", exit=Exit.DATA)
    is_intact = isinstance(manifest, dict) and manifest.get("sha256") == manifest_hash(manifest)
    if not is_intact or not VERSION.fullmatch(str(manifest.get("version"))):
        raise damaged_index(path, "index.json is not what was written")
    return dict(manifest)


def missing_index(path: Path) -> UserError:
    """The error for a folder without an index."""
    if not path.exists():
        return UserError(f"There is no index {path}.",
                         fix="Check the path, or build one: headstart index SOURCE --to INDEX", exit=Exit.NO_INPUT)
    if (path / BUILDING).exists() or (path / JOURNAL).exists():
        return UserError(f"The index {path} is incomplete.",
                         fix="Run the command that builds it again: it resumes where it stopped.", exit=Exit.NO_INPUT)
    return UserError(f"{path} holds no index.", fix="Build one: headstart index SOURCE --to INDEX", exit=Exit.NO_INPUT)


def damaged_index(path: Path, reason: str) -> UserError:
    """The error for an index that cannot be trusted (65)."""
    return UserError(f"The index {path} is damaged: {reason}.", fix="Build it again: headstart index SOURCE --to INDEX",
                     exit=Exit.DATA)


def manifest_hash(manifest: Mapping[str, Any]) -> str:
    """The hash of everything that index.json says."""
    content = {name: value for name, value in manifest.items() if name != "sha256"}
    return hash_json(content)


def hash_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file of a version."""
    hashes = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        hashes[file.relative_to(folder).as_posix()] = {"bytes": file.stat().st_size, "sha256": sha256(file)}
    return hashes


def check_parts(path: Path, manifest: Mapping[str, Any], *, hashes: bool) -> None:
    """Refuse an index with a part that is missing or has another size, with `hashes` another hash (65)."""
    for name, expected in manifest["parts"].items():
        file = path / manifest["version"] / name
        if not file.is_file():
            raise damaged_index(path, f"{name} is missing")
        if file.stat().st_size != expected["bytes"]:
            raise damaged_index(path, f"{name} has {file.stat().st_size:,} bytes, {expected['bytes']:,} were written")
        if hashes and sha256(file) != expected["sha256"]:
            raise damaged_index(path, f"{name} is not what was written (its SHA-256 differs)")


def publish(path: Path, facts: Mapping[str, Any]) -> bool:
    """Make what was built the index that readers see; whether anything changed. The previous version is removed after
    that.
    """
    manifest = {"format": FORMAT, **facts, "parts": hash_files(path / BUILDING)}
    version = manifest_hash(manifest)[:16]
    previous = json.loads((path
                           / MANIFEST).read_text(encoding="utf-8")).get("version") if is_intact_index(path) else None
    if previous == version:
        shutil.rmtree(path / BUILDING)
    else:
        shutil.rmtree(path / version, ignore_errors=True)
        settle(path / BUILDING)
        replace(path / BUILDING, path / version)
        manifest["version"] = version
        write_text(path / MANIFEST, json.dumps(manifest | {"sha256": manifest_hash(manifest)}, ensure_ascii=False,
                                               indent=2) + "\n")
    shutil.rmtree(path / JOURNAL, ignore_errors=True)
    for entry in path.iterdir():
        if VERSION.fullmatch(entry.name) and entry.name != version:
            shutil.rmtree(entry, ignore_errors=True)
    return previous != version


def is_intact_index(path: Path) -> bool:
    """Whether a folder is an index without missing or damaged parts."""
    try:
        check_parts(path, read_manifest(path), hashes=True)
    except UserError:
        return False
    return True
