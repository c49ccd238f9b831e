"""What headstart.json says of an exported model: its file, what goes in, what comes out.

    "runtime": {"format": "onnx", "precision": "int8", "file": "onnx/model_quantized.onnx",
                "inputs": ["input_ids", "attention_mask", "token_type_ids"],
                "outputs": [{"name": "logits", "reads": "tokens", "tensors": ["start_logits", "end_logits"]}],
                "head": "question-answering", "pad_id": 0, "pooled_token": "first", "token_types": true,
                "size_bytes": 22972370}

An output of several tensors has one in each column. Nothing here needs torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from headstart.contract import Json
from headstart.models.loading.json_files import BOOLEAN, TEXT, Kind, check_fields, list_of, one_of, whole_number

Precision = Literal["fp32", "fp16", "int8"]
# The names that transformers.js and optimum look for.
FILES: Mapping[str, str] = {"fp32": "onnx/model.onnx", "fp16": "onnx/model_fp16.onnx",
                            "int8": "onnx/model_quantized.onnx"}
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
READS = one_of("pooled", "mean", "tokens")
TENSOR = Kind("the name of a tensor", lambda value: isinstance(value, str)
              and re.fullmatch(r"\w{1,60}", value) is not None)
OUTPUT_FIELDS = {"name": TENSOR, "reads": READS, "tensors": list_of(TENSOR)}
FIELDS = {"format": one_of("onnx"), "precision": one_of(*FILES), "file": one_of(*FILES.values()),
          "inputs": list_of(one_of(*INPUTS)),
          "outputs": Kind("a list of objects", lambda value: isinstance(value, list) and bool(value)
                          and all(isinstance(entry, dict) for entry in value)),
          "head": TEXT, "pad_id": whole_number(0, 2**31), "pooled_token": one_of("first", "last"),
          "token_types": BOOLEAN, "size_bytes": whole_number(0, 2**40)}


@dataclass(frozen=True)
class ExportedOutput:
    """One output of a head: which states it reads, and the tensors of the file that hold it, one a column.

    "pooled" and "mean" are one a text, "tokens" one a token.
    """

    name: str
    reads: Literal["pooled", "mean", "tokens"]
    tensors: tuple[str, ...]


@dataclass(frozen=True)
class ExportFacts:
    """An exported file: how to feed it, and how to read what comes out."""

    precision: Precision
    inputs: tuple[str, ...]
    outputs: tuple[ExportedOutput, ...]
    head: str
    pad_id: int
    pooled_token: str = "first"
    token_types: bool = False
    size_bytes: int = 0
    format: str = "onnx"

    @property
    def file(self) -> str:
        """The file's path inside the folder."""
        return FILES[self.precision]

    def json(self) -> dict[str, Json]:
        """As headstart.json holds it."""
        values: dict[str, Json] = asdict(self) | {"file": self.file, "inputs": list(self.inputs), "outputs": [
            asdict(output) | {"tensors": list(output.tensors)} for output in self.outputs]}
        return values


def facts_from_json(values: Mapping[str, Any], place: str) -> ExportFacts:
    """The facts that headstart.json holds; raises UserError (69) for wrong ones."""
    check_fields(values, FIELDS, place, required=tuple(FIELDS))
    for index, output in enumerate(values["outputs"]):
        check_fields(output, OUTPUT_FIELDS, f"{place}.outputs[{index}]", required=tuple(OUTPUT_FIELDS))
    outputs = tuple(ExportedOutput(output["name"], output["reads"], tuple(output["tensors"]))
                    for output in values["outputs"])
    return ExportFacts(cast(Precision, values["precision"]), tuple(values["inputs"]), outputs, values["head"],
                       values["pad_id"], values["pooled_token"], values["token_types"], values["size_bytes"])
