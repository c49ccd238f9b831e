"""Many files in, as many files out: each part is read, predicted and written by one actor, as `headstart predict` does
it for one file.
"""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.contract import Predictor
from headstart.data.outputs.layout import FORMATS, SYNONYMS, split_name
from headstart.data.readers.table_builder import NoRows
from headstart.errors import DataError, Exit, UserError
from headstart.files import clear_leftovers, disk_errors, hash_json, locked_file, make_folder
from headstart.prediction.on_ray.empty_parts import EmptyParts, FirstRows, find_first_rows, is_empty_part
from headstart.prediction.on_ray.manifest import NAME, FinishedPart, Manifest, finished_part
from headstart.prediction.on_ray.places import FileStatus, Place, is_remote, local_copy, local_output, with_place
from headstart.prediction.on_ray.pool import RayPool
from headstart.prediction.predict_file import predict_file
from headstart.prediction.processes import ModelWork, with_fingerprint
from headstart.progress import Message, Reporter
from headstart.progress.events import Event
from headstart.settings import Data

READ = (*FORMATS, *SYNONYMS)  # endings of parts
PATTERN = frozenset("*?[")
MAX_NAMES = 8  # of files that are told
MAX_TOLD = 20  # remarks on parts that are told, of each the first time


def is_parts(path: str, to: str) -> bool:
    """Whether a command is about a folder of parts: what it reads is a pattern, or a folder elsewhere or one whose
    files are tables, and what it writes is a folder.
    """
    if path == "-" or to in ("", "-") or (split_name(to)[0] in READ and not to.endswith("/")):
        return False
    place = Place(path)
    if pattern_of(place):
        return True
    return place.is_folder() and (is_remote(path) or bool(table_files(place.files())))


def pattern_of(place: Place) -> str:
    """The pattern of names that the last part of a path is; "" for a name, also of a file here that looks like one."""
    return place.name if PATTERN & set(place.name) and not (place.is_local and Path(place.text).exists()) else ""


def table_files(files: list[FileStatus]) -> list[FileStatus]:
    """Those whose names say a format of rows that is read and written."""
    return [file for file in files if split_name(file.name)[0] in READ]


def find_parts(path: str) -> tuple[Place, list[FileStatus]]:
    """The folder of the parts, and the parts in the order of their names; raises UserError (66)."""
    place = Place(path)
    pattern = pattern_of(place)
    folder = place.parent if pattern else place
    if PATTERN & set(folder.text) and not folder.is_folder():
        raise UserError(f"{path}: a pattern may stand in the last part of a path.", fix="Name one folder.")
    if not folder.is_folder():
        raise UserError(f"There is no folder {folder.text}.", fix="Check the path.", exit=Exit.NO_INPUT)
    files = folder.files()
    parts = table_files([file for file in files if not pattern or fnmatch.fnmatchcase(file.name, pattern)])
    if not parts:
        names = ", ".join(file.name for file in files[:8])
        raise UserError(f"{path} holds no files of rows ({', '.join(READ)}); it holds {names or 'no files'}.",
                        fix="Name a folder of parts, or a file.", exit=Exit.NO_INPUT)
    return folder, parts


@dataclass(frozen=True)
class PartAnswer:
    """What an actor answers: the part as it was written, and what was said of it."""

    part: FinishedPart | None  # None: it holds no rows, and nothing was written
    remarks: tuple[tuple[str, bool], ...]  # words, and whether they are a warning


class Remarks:
    """A listener that keeps what is said."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bool]] = []

    def receive(self, event: Event) -> None:
        """Keep messages."""
        if isinstance(event, Message):
            self.messages.append((event.text, event.warning))


@dataclass(frozen=True)
class PartsWork:
    """What every actor does with the parts of one folder."""

    model: ModelWork
    source: str
    target: str
    settings: Data
    columns: Mapping[str, str]

    def open(self, number: int) -> Callable[[FileStatus], PartAnswer]:
        """What predicts a part; the model is loaded here. Raises UserError."""
        predictor = self.model.predictor(number)
        return lambda file: self.predict(predictor, file)

    def predict(self, predictor: Predictor, file: FileStatus) -> PartAnswer:
        """Read, predict and write one part; raises UserError."""
        remarks = Remarks()
        place, target = Place(self.source) / file.name, Place(self.target) / file.name
        with local_copy(place) as source, local_output(target) as output_path:
            try:
                rows = predict_file(predictor, str(source), str(output_path), settings=self.settings,
                                    columns=self.columns, reporter=Reporter(remarks), overwrite=True)
            except DataError as error:
                if isinstance(error, NoRows) and is_empty_part(error, self.settings):
                    return PartAnswer(None, ())
                raise with_place(error, source, place) from None
            part = finished_part(file, output_path, rows=rows)
        return PartAnswer(part, tuple((text.replace(f"{source.parent}/", ""), is_warning)
                                      for text, is_warning in remarks.messages))


def settled_columns(predictor: Predictor, first: FirstRows, reporter: Reporter) -> dict[str, str]:
    """Which columns are what in every part, as in the first one that has rows."""
    inputs = [task_field.name for task_field in predictor.task.fields if not task_field.target]
    settled = {name: ",".join(first.columns[name]) for name in inputs if name in first.columns}
    words = ", ".join(f'{name} is "{column}"' for name, column in settled.items())
    reporter.info(f"columns of every part, as in {first.name}: {words}")
    return settled


def predict_parts_on_ray(predictor: Predictor, work: ModelWork, path: str, to: str, *, settings: Data,
                         columns: Mapping[str, str], reporter: Reporter, count: int = 0,
                         overwrite: bool = False) -> int:
    """Predict every file of a folder into a file of the same name in another folder; returns how many rows.

    What an earlier command finished in it stays, as its manifest says. Raises UserError (2, 65, 66, 69, 73, 74) and
    DataError; parts that were finished by then stay.
    """
    source, parts = find_parts(path)
    work = with_fingerprint(work, predictor, "ray")
    target = Place(to.rstrip("/") or "/")
    if target.split() == source.split() or (target.is_local and source.is_local and
                                      Path(target.text).resolve() == Path(source.text).resolve()):
        raise UserError(f"{to} is the folder that is read; nothing was written.", fix="Name another folder with --to.",
                        exit=Exit.EXISTS)
    tell_left_out(source, path, parts, reporter)
    with locked(target):
        first, leading_empty = find_first_rows(predictor.task, source, parts, settings, columns)
        columns = {**columns, **settled_columns(predictor, first, reporter)}
        manifest = Manifest(target, hash_json([work.fingerprint, sorted(columns.items()), repr(settings)]))
        manifest.load(overwrite=overwrite)
        remaining = [part for part in parts if not manifest.holds(part)]
        if len(remaining) < len(parts):
            reporter.info(f"{len(parts) - len(remaining):,} of {len(parts):,} parts are in {to} already: they are not "
                          "predicted again")
        parts_work = PartsWork(work, source.text, target.text, settings, columns)
        with contextlib.ExitStack() as stack:
            if remaining:
                stack.callback(lambda: manifest.write(sorted(manifest.parts), is_complete=False))
            empty_parts = [part for part in remaining if part in leading_empty]
            empty_parts += predict_remaining(parts_work, [part for part in remaining if part not in leading_empty],
                                             manifest, count, len(parts), reporter)
            write_empty(EmptyParts(predictor, first, source, settings, manifest), empty_parts, reporter)
        tell_further_files(target, parts, reporter)
        return manifest.write([part.name for part in parts], is_complete=True)


def predict_remaining(work: PartsWork, remaining: Sequence[FileStatus], manifest: Manifest, process_count: int,
                      part_count: int, reporter: Reporter) -> list[FileStatus]:
    """Predict those of the parts that are not there yet, as actors come to them; returns those that hold no rows."""
    empty_parts: list[FileStatus] = []
    if not remaining:
        return empty_parts
    tell, finished_count = PartTeller(reporter), part_count - len(remaining)
    with RayPool(work, process_count, reporter, needs_gpu=work.model.device.startswith("cuda")) as pool:
        for number, answer in pool.numbered_results(remaining):
            part = remaining[number]
            if answer.part is None:
                empty_parts.append(part)
            else:
                manifest.add(part.name, answer.part)
            tell(part.name, answer)
            finished_count += 1
            reporter.progress(finished_count, part_count, "parts")
    return empty_parts


def write_empty(writer: EmptyParts, parts: Sequence[FileStatus], reporter: Reporter) -> None:
    """Write what belongs to parts without rows, and say which they are."""
    if not parts:
        return
    parts = sorted(parts, key=lambda part: part.name)
    for part in parts:
        writer.manifest.add(part.name, writer.write(part))
    names = shortened([part.name for part in parts])
    reporter.info(f"{names} holds no rows, and neither does what is written for it" if len(parts) == 1 else
                  f"{names} hold no rows, and neither does what is written for them")


def tell_left_out(source: Place, path: str, parts: Sequence[FileStatus], reporter: Reporter) -> None:
    """Say what in a folder that was named as a whole is no part."""
    if source.split() != Place(path).split():
        return
    names = [file.name for file in source.files() if file not in parts]
    names += [f"{name}/" for name in source.folder_names()]
    if names:
        reporter.info(f"not read in {path}: {shortened(names)} (parts are files of rows in the folder itself)")


def tell_further_files(target: Place, parts: Sequence[FileStatus], reporter: Reporter) -> None:
    """Warn of files that stand among the predictions of the parts and are none: those of an earlier command."""
    part_names = {part.name for part in parts}
    names = [file.name for file in target.files() if file.name not in part_names]
    if names:
        reporter.warning(f"{target.text} also holds {shortened(names)}, which this command did not write: what reads "
                         f"the whole folder reads {'it' if len(names) == 1 else 'them'} too; {NAME} names the parts "
                         "of this command")


def shortened(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    further = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + further


class PartTeller:
    """Says what was said of parts; the same of several parts once, and no more than a few in all."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.known_words: set[str] = set()

    def __call__(self, name: str, answer: PartAnswer) -> None:
        """Say what is new of a part."""
        for text, is_warning in answer.remarks:
            words = text.replace(name, "…")
            if words in self.known_words or len(self.known_words) > MAX_TOLD or text.startswith(f"{name}: "):
                continue
            self.known_words.add(words)
            (self.reporter.warning if is_warning else self.reporter.info)(f"{name}: {text}")
            if len(self.known_words) > MAX_TOLD:
                self.reporter.info("further remarks on parts are not shown")


@contextlib.contextmanager
def locked(folder: Place) -> Iterator[None]:
    """Hold the output's folder where it is on this machine, so that one command at a time writes it; UserError (73)."""
    if not folder.is_local:
        yield
        return
    path = Path(folder.text)
    if path.is_file():
        raise UserError(f"{folder.text} is a file; a folder of parts gets a folder.", fix="Name one with --to.",
                        exit=Exit.EXISTS)
    with disk_errors(path):
        make_folder(path)
    with locked_file(path / ".lock", f"Another prediction writes {folder.text}",
                     "Wait for it, or choose another place with --to.", temporary=True):
        clear_leftovers(path)
        yield
