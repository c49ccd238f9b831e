"""No file of a model folder lies elsewhere: a link in a folder that came from others may point at any file here."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from headstart.errors import Exit, UserError
from headstart.models.loading.json_files import damaged

# what transformers and headstart read inside a model folder
FOLDERS_READ = ("", "additional_chat_templates", "onnx")


def check_links(folder: Path, reference: str) -> None:
    """Refuse links that lead out of the folder (77), pipes and devices (69); raises UserError.

    Links of the hub's cache lead from models--NAME/snapshots/COMMIT to models--NAME/blobs: inside models--NAME.
    """
    home = folder.resolve()
    if home.parent.name == "snapshots" and home.parent.parent.name.startswith("models--"):
        home = home.parent.parent
    for name in FOLDERS_READ:
        try:
            entries = sorted(os.scandir(folder / name), key=lambda entry: entry.name)
        except OSError:  # it is not there; what cannot be read says so when it is read
            continue
        for entry in entries:
            check_entry(Path(entry.path), home, reference)


def check_entry(path: Path, home: Path, reference: str) -> None:
    """Refuse one entry that lies outside `home`, or is neither file nor folder; a link to nothing is a missing file."""
    if path.is_symlink() and not path.resolve().is_relative_to(home):
        raise UserError(f"{path.name} of {reference} is a link to {os.readlink(path)!r}, outside of the folder.",
                        fix=f"If you trust it, put the file in its place: cp --remove-destination "
                            f"\"$(readlink -f {path})\" {path}", exit=Exit.REFUSED)
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise damaged(f"{path.name} of {reference} is neither a file nor a folder (a pipe, a socket or a device).",
                      "Do not use this folder: it is damaged or malicious.")
