"""Where a named file is written: never over what stands there unasked, and never over what is read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from headstart.errors import Exit, UserError
from headstart.files import exists_error


def check_output(path: str | Path, *, overwrite: bool, inputs: Iterable[str | Path] = (), flag: str = "--to") -> None:
    """Refuse a place before any work is done; "-" is standard output.

    Raises UserError: 73 where a file stands there already and `overwrite` is not set, and, whether it is set or not,
    for a folder, a device, and a file that is read (also by another name: a link, another spelling); 74 where there is
    no folder to write in.
    """
    if str(path) == "-":
        return
    if not str(path):
        raise UserError(f"{flag} is empty; a file's name was expected.", fix=f"Name one: {flag} answers.csv")
    place = Path(path)
    if not place.parent.is_dir():
        raise UserError(f"{place} cannot be written: there is no folder {place.parent}.",
                        fix=f"Make it, or choose another place with {flag}.", exit=Exit.DISK)
    if not os.path.lexists(place):
        return
    for source in inputs:
        refuse_input(place, source, flag)
    if place.is_dir():
        raise UserError(f"{place} is a folder.", fix=f"Name a file in it: {flag} {place / 'NAME'}", exit=Exit.EXISTS)
    if place.exists() and not stat.S_ISREG(place.stat().st_mode):
        raise UserError(f"{place} is a device or a pipe, not a file that is there whole or not at all.",
                        fix=f"Leave {flag} out to write to standard output.", exit=Exit.EXISTS)
    if not overwrite:
        raise exists_error(place, flag)


def refuse_input(place: Path, source: str | Path, flag: str) -> None:
    """Refuse to write over a file that is read, or over one in a folder that is read; raises UserError (73)."""
    if str(source) in ("", "-") or not os.path.exists(source):
        return
    if place.exists() and os.path.samefile(place, source):
        name = "the input itself" if str(place) == str(source) else f"the same file as {source}, which is read"
        raise UserError(f"{place} is {name}; nothing was written over it.", fix=f"Name another file with {flag}.",
                        exit=Exit.EXISTS)
    if Path(source).is_dir() and place.resolve().is_relative_to(Path(source).resolve()):
        raise UserError(f"{place} is in {source}, the folder that is read; nothing was written over it.",
                        fix=f"Name another file with {flag}.", exit=Exit.EXISTS)
