"""An exported model as the runtime of a predictor: padded batches of similar length through onnxruntime.

Shapes: B rows, S tokens of a row, C columns of an output. Nothing here needs torch.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contract import Batch, Feature, Layout
from headstart.data.features.batches import collate, length_batches
from headstart.errors import Exit, UserError, out_of_memory
from headstart.models.loading.json_files import COPY_AGAIN, damaged
from headstart.prediction.export_facts import ExportedOutput, ExportFacts
from headstart.prediction.external_weights import has_external_weights
from headstart.prediction.lent_weights import split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.models.tokenizers.tokenizer import FamilyTokenizer

ERRORS_ONLY = 3  # onnxruntime's level of messages
# A batch is closed before a longer text where it has so many tokens: more gain little, padding costs what it takes.
STRETCH, MIN_TOKENS = 1.2, 64
THREADS_VARIABLE = "OMP_NUM_THREADS"  # onnxruntime has threads of its own and does not read it
TELEMETRY_VARIABLE = "ORT_DISABLE_TELEMETRY"  # read once, when the library starts (its Privacy.md)


@dataclass(frozen=True, eq=False)
class OnnxRuntime:
    """A session with one exported file; a batch has at most `batch_tokens` tokens, padding included.

    In fp32 and fp16 batching changes nothing that could be seen. In int8 the scale of what is multiplied is measured
    for each batch, so that a text's outputs depend, a little, on the texts beside it.
    """

    session: Any
    facts: ExportFacts
    tokenizer: FamilyTokenizer
    batch_tokens: int
    identity: str  # the SHA-256 of the file

    @property
    def precision(self) -> str:
        """What the file computes in: fp32, fp16 or int8."""
        return self.facts.precision

    def outputs(self, features: Sequence[Feature]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The index of each feature with its outputs, batch by batch, shortest first."""
        for positions in similar_batches(features, self.batch_tokens):
            batch = [features[position] for position in positions]
            yield from zip(positions, self.batch_outputs(batch), strict=True)

    def batch_outputs(self, features: Sequence[Feature]) -> list[dict[str, Any]]:
        """The outputs of the features of one batch, as arrays by name."""
        batch = collate(features, Layout(packed=False, pad_id=self.facts.pad_id))
        names = [name for output in self.facts.outputs for name in output.tensors]
        tensors = dict(zip(names, self.run_session(names, self.feed(batch)), strict=True))
        outputs_by_feature: list[dict[str, Any]] = [{} for _ in features]
        for output in self.facts.outputs:
            rows = output_array(output, tensors)
            for values, length, outputs in zip(rows, batch.lengths.tolist(), outputs_by_feature, strict=True):
                outputs[output.name] = values[:length] if output.reads == "tokens" else values
        return outputs_by_feature

    def run_session(self, names: Sequence[str], inputs: Mapping[str, NDArray[np.int64]]) -> list[NDArray[Any]]:
        """The tensors of these names; raises UserError (69) where the file cannot read what headstart.json promises."""
        try:
            tensors: list[NDArray[Any]] = self.session.run(names, inputs)
        except Exception as error:  # the library has a class for each of its codes
            if "allocate memory" in str(error):
                raise MemoryError(str(error)) from None
            if out_of_memory(error) or not type(error).__module__.startswith("onnxruntime"):
                raise
            raise damaged(f"{self.facts.file} cannot read these texts: {str(error).splitlines()[0][:300]}",
                          f"Its headstart.json is of another file. {COPY_AGAIN}") from None
        return tensors

    def feed(self, batch: Batch) -> dict[str, NDArray[np.int64]]:
        """The inputs of a batch by name, (B, S) each."""
        starts, ends = batch.segments[:, 1:2], batch.segments[:, 2:3]
        steps = np.arange(batch.ids.shape[1])[None, :]
        arrays = {"input_ids": batch.ids, "attention_mask": ((starts <= steps) & (steps < ends)).astype(np.int64),
                  "token_type_ids": batch.types}
        return {name: arrays[name] for name in self.facts.inputs}

    def fingerprint(self) -> str:
        """A hash of the file, special tokens, and the longest input."""
        tokenizer = self.tokenizer
        identity = (self.identity, tokenizer.max_length, tokenizer.single_template, tokenizer.pair_template)
        return hashlib.sha256(repr(identity).encode()).hexdigest()


def similar_batches(features: Sequence[Feature], batch_tokens: int) -> Iterator[list[int]]:
    """Positions of features in batches with little padding: their lengths differ by a fifth, unless tokens are few."""
    for batch in length_batches(features, batch_tokens):
        start = 0
        for end in range(1, len(batch)):
            shortest, length = len(features[batch[start]]), len(features[batch[end]])
            if length > STRETCH * shortest and (end - start) * shortest >= MIN_TOKENS:
                yield batch[start:end]
                start = end
        yield batch[start:]


def output_array(output: ExportedOutput, tensors: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """An output of a batch, (B, C) or (B, S, C), in fp32; of several tensors (B, S) each is a column."""
    columns = [tensors[name].astype(np.float32, copy=False) for name in output.tensors]
    return columns[0] if len(columns) == 1 else np.stack(columns, axis=-1)


def open_session(file: Path, threads: int | None = None) -> Any:
    """A session of onnxruntime on the processor; by default with as many threads as OMP_NUM_THREADS or the machine say.

    Raises UserError: 69 where onnxruntime is missing, or cannot run the file; 77 for a file that reads others.
    """
    refuse_external_weights(file)
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    threads = threads or threads_of_environment()
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        with file.open("rb") as stream:
            return session_of(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), options)
    except Exception as error:  # the library has a class for each of its codes
        if out_of_memory(error):
            raise
        raise UserError(f"onnxruntime {onnxruntime.__version__} cannot run {file}: {str(error).splitlines()[0][:300]}",
                        fix="Copy the folder again; if it was exported for a newer onnxruntime: "
                            "pip install -U onnxruntime", exit=Exit.UNAVAILABLE) from None


def session_of(content: mmap.mmap, options: Any) -> Any:
    """A session with the file whose bytes these are, of which it copies what it keeps."""
    import onnxruntime

    graph, weights = split(content)
    options.add_external_initializers(list(weights), [onnxruntime.OrtValue.ortvalue_from_numpy(weight)
                                                      for weight in weights.values()])
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    session.lent_weights = weights  # that they outlive it is all that the library's documentation asks for
    return session


def refuse_external_weights(file: Path) -> None:
    """Refuse a file whose weights lie in others, which nothing has checked (77), and what is no ONNX file (69)."""
    try:
        external = has_external_weights(file)
    except ValueError as error:
        raise damaged(f"{file} is not an ONNX file, or is damaged: {error}.", COPY_AGAIN) from None
    if external:
        raise UserError(f"{file} reads weights from other files, which no checksum covers.",
                        fix="Do not use this folder unless you made it: headstart export writes all weights into one "
                            "file.", exit=Exit.REFUSED)


def import_onnxruntime() -> Any:
    """The library; raises UserError (69) where it is missing."""
    turn_telemetry_off()
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"An exported model runs in onnxruntime, which cannot be imported: {error}.",
                        fix="pip install onnxruntime", exit=Exit.UNAVAILABLE) from None
    return onnxruntime


def turn_telemetry_off() -> None:
    """Let onnxruntime tell its makers nothing: from 1.29 it sends names and hashes of models unless this is set before
    its import. Who sets the variable to something else has decided himself.
    """
    os.environ.setdefault(TELEMETRY_VARIABLE, "1")


def threads_of_environment() -> int | None:
    """The number of threads that the user set; None where he set none."""
    text = os.environ.get(THREADS_VARIABLE, "")
    return int(text) if text.isdecimal() and int(text) > 0 else None
