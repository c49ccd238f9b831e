"""What is predicted: a file, a folder of texts, or on Ray a folder of parts; also elsewhere than on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from headstart.contract import Predictor
from headstart.errors import Exit, UserError
from headstart.prediction.on_ray.parts import is_parts, predict_parts_on_ray
from headstart.prediction.on_ray.places import Place, is_remote, local_copy, local_output
from headstart.prediction.on_ray.pool import count_on_ray
from headstart.prediction.predict_file import predict_file
from headstart.prediction.predict_folder import is_text_folder, predict_folder
from headstart.prediction.processes import ModelWork, share, with_fingerprint
from headstart.progress import Reporter
from headstart.settings import Data


def predict_path(predictor: Predictor, work: ModelWork, path: str, to: str, *, settings: Data,
                 columns: Mapping[str, str], reporter: Reporter, as_training_data: bool = False,
                 min_probability: float | None = None, overwrite: bool = False, processes: int | str = 1) -> int:
    """Predict what a path names, by one process, several, or a Ray cluster ("ray"); returns how many rows.

    Raises UserError and DataError, as what reads and writes it does.
    """
    work = with_fingerprint(work, predictor, processes)
    sharing = share(work, predictor, processes, reporter)
    makes_rows = as_training_data or min_probability is not None
    count = count_on_ray(processes)
    if predictor.task.generative and is_text_folder(path):
        if makes_rows:
            raise UserError(f"{path} is a folder of texts; training data is made from one file.",
                            fix="Give a csv or jsonl file of the texts.")
        return predict_folder(predictor, path, to, overwrite=overwrite, reporter=reporter, sharing=sharing)
    if count is not None and is_parts(path, to):
        if makes_rows:
            raise UserError(f"{path} is a folder of parts; training data is made from one file.",
                            fix="Give one file, or leave --as-training-data and --min-probability out.")
        return predict_parts_on_ray(predictor, work, path, to, settings=settings, columns=columns, reporter=reporter,
                                    count=count, overwrite=overwrite)
    with naming_parts(path, to), fetched(path, count, reporter) as source, \
            put_back(to, count, overwrite=overwrite) as target:
        return predict_file(predictor, source, target, settings=settings, columns=columns, reporter=reporter,
                            as_training_data=as_training_data, min_probability=min_probability, overwrite=overwrite,
                            sharing=sharing)


@contextlib.contextmanager
def naming_parts(path: str, to: str) -> Iterator[None]:
    """An error of reading names the way in which a folder of files is predicted, where the command was about one."""
    try:
        yield
    except UserError as error:
        if error.exit != Exit.NO_INPUT or is_remote(path) or not is_parts(path, to):
            raise
        raise UserError(error.message, fix=f"{error.fix} Or predict each file into a folder: --on ray.",
                        exit=error.exit) from error


@contextlib.contextmanager
def fetched(path: str, count: int | None, reporter: Reporter) -> Iterator[str]:
    """A file as a path of this machine: on Ray one that a URI names is copied here for as long as the block runs."""
    if count is None or not is_remote(path):
        yield path
        return
    with local_copy(Place(path)) as copy:
        reporter.info(f"{path}: copied here as {copy} ({copy.stat().st_size:,} bytes)")
        yield str(copy)


@contextlib.contextmanager
def put_back(to: str, count: int | None, *, overwrite: bool) -> Iterator[str]:
    """Where a file is written: on Ray one that a URI names is written here, and copied there when the block ends.

    Raises UserError (73) where one stands there, unless `overwrite`.
    """
    if count is None or not is_remote(to):
        yield to
        return
    if Place(to).lookup() is not None and not overwrite:
        raise UserError(f"{to} exists already; nothing was overwritten.",
                        fix="Name another file with --to, or pass --overwrite.", exit=Exit.EXISTS)
    with local_output(Place(to)) as output_path:
        yield str(output_path)
