"""A model with its head as one function of padded inputs, and that function as an ONNX file.

Shapes: B rows, S tokens of a row, W width, C columns of an output. Both B and S are left open in the file.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.errors import Exit, UserError, out_of_memory
from headstart.models.family import Output
from headstart.models.loading.quiet import quiet
from headstart.models.model import Model
from headstart.prediction.export_facts import ExportedOutput
from headstart.prediction.onnx_runtime import turn_telemetry_off

SAMPLE_ROWS, SAMPLE_TOKENS = 2, 9  # of the batch that is traced; neither is 1, which torch would take for a constant
QUIET_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir", "torch.export", "root")
TENSORS = {("question-answering", "logits"): ("start_logits", "end_logits"),  # names that optimum gives them
           ("embedding", "logits"): ("sentence_embedding",)}


class OnnxGraph(nn.Module):
    """Token ids, mask and token types in, the head's outputs out: what `Model.forward` gives, for padded rows."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.module = model.module
        self.family, self.head, self.language = model.info.family, model.info.family.heads[model.head], model.language
        self.head_name = model.head
        self.pooling = self.family.pooling(model.module.config)

    @property
    def input_names(self) -> list[str]:
        """What it takes, in order."""
        return ["input_ids", "attention_mask", *(["token_type_ids"] if self.family.has_token_types else [])]

    def exported_outputs(self) -> tuple[ExportedOutput, ...]:
        """What it gives, in order, with the names of its tensors."""
        reads: dict[str, Any] = {name: output.reads for name, output in self.head.outputs.items()}
        return tuple(ExportedOutput(name, kind, TENSORS.get((self.head_name, name), (name,)))
                     for name, kind in reads.items())

    def forward(self, input_ids: Tensor, attention_mask: Tensor,
                token_type_ids: Tensor | None = None) -> tuple[Tensor, ...]:
        """(B, S) each -> each tensor of the outputs: (B, C), (B, S, C), or (B, S) where an output has several."""
        states = self.module.base_model(**self.backbone_inputs(input_ids, attention_mask, token_type_ids))[0]
        tensors: list[Tensor] = []
        for output, exported in zip(self.head.outputs.values(), self.exported_outputs(), strict=True):
            values = self.apply_head(output, states, input_ids, attention_mask)
            tensors += [values] if len(exported.tensors) == 1 else values.unbind(-1)
        return tuple(tensors)

    def backbone_inputs(self, input_ids: Tensor, attention_mask: Tensor,
                        token_type_ids: Tensor | None) -> dict[str, Any]:
        """What `Model.backbone` passes on for a padded batch; positions are counted from the mask."""
        family, config = self.family, self.module.config
        inputs: dict[str, Any] = {"input_ids": input_ids} | family.forward_inputs
        if family.position_ids:
            offset = family.position_offset(config)
            positions = attention_mask.cumsum(1) - 1 + offset
            inputs["position_ids"] = torch.where(attention_mask == 1, positions, max(0, offset - 1))
        if token_type_ids is not None:
            type_count = getattr(config, "type_vocab_size", None)
            inputs["token_type_ids"] = (token_type_ids if type_count is None
                                        else token_type_ids.clamp(max=max(0, type_count - 1)))
        inputs["attention_mask"] = attention_mask.float() if family.float_mask else attention_mask
        if self.language is not None:
            inputs["langs"] = torch.full_like(input_ids, self.language)
        return self.head.prepare_inputs(inputs, False)

    def apply_head(self, output: Output, states: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The head's layers on the states that they read: (B, S, W) -> (B, C) or (B, S, C)."""
        if output.reads == "tokens":
            values = output.apply(self.module, states.reshape(-1, states.shape[-1]))
            return values.reshape(*input_ids.shape, -1)
        if output.reads == "mean" or self.pooling == "mean":
            weights = attention_mask[..., None].to(states.dtype)  # (B, S, 1)
            return output.apply(self.module, (states * weights).sum(1) / weights.sum(1))
        positions = self.pooled_positions(input_ids, attention_mask)
        pooled = states.gather(1, positions[:, None, None].expand(-1, 1, states.shape[-1]))[:, 0]  # (B, W)
        return output.apply(self.module, pooled)

    def pooled_positions(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The place of the token that stands for each text, on whichever side the padding is: (B,)."""
        length = input_ids.shape[1]
        steps = torch.arange(length)
        if self.pooling == "first":
            return length - 1 - (attention_mask * (length - 1 - steps)).amax(1)
        pad_id = None if self.head.last_token else getattr(self.module.config, "pad_token_id", None)
        is_token = attention_mask if pad_id is None else attention_mask * (input_ids != pad_id)
        return (is_token * steps).amax(1)


def write_onnx(graph: OnnxGraph, file: Path) -> None:
    """Write the graph in fp32; raises UserError (2) where torch cannot trace the model."""
    import_exporters()
    ids = torch.ones(SAMPLE_ROWS, SAMPLE_TOKENS, dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, SAMPLE_TOKENS // 2:] = 0
    samples = (ids, mask, torch.zeros_like(ids))[:len(graph.input_names)]
    batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens")
    names = [name for output in graph.exported_outputs() for name in output.tensors]
    with quiet(), silence(), torch.no_grad():
        try:
            program = torch.onnx.export(
                graph.eval(), samples, input_names=graph.input_names, output_names=names, dynamo=True, verbose=False,
                dynamic_shapes=tuple({0: batch, 1: tokens} for _ in samples))
        except Exception as error:  # torch raises many kinds for what it cannot trace
            if out_of_memory(error):
                raise
            raise UserError(f"{graph.family.name} with the head {graph.head_name} cannot be exported: torch does not "
                            f"trace it ({first_reason(error)}).",
                            fix="Serve the run itself: headstart serve RUN") from error
        assert program is not None
        leave_out_traces(program.model)
        program.save(str(file))


def leave_out_traces(model: Any) -> None:
    """Take out what torch notes at each node: where it was called, with the paths of files on this machine, which are
    nobody's business and 0.7 MB of a small BERT that each start would read.
    """
    for graph in (model.graph, *model.functions.values()):
        graph.metadata_props.clear()
        values = [*graph.inputs, *graph.outputs]
        for node in graph.all_nodes():
            node.metadata_props.clear()
            values += node.outputs
        for value in values:
            value.metadata_props.clear()


def import_exporters() -> None:
    """Refuse where a package is missing that writes or runs ONNX files; raises UserError (69)."""
    turn_telemetry_off()
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(name)
        except ImportError as error:
            raise UserError(f"Exporting to ONNX needs {name}, which cannot be imported: {error}.",
                            fix="pip install 'headstart[onnx]'", exit=Exit.UNAVAILABLE) from None


def first_reason(error: BaseException) -> str:
    """The first line of the innermost error: torch wraps each in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


@contextmanager
def silence(loggers: Sequence[str] = QUIET_LOGGERS) -> Iterator[None]:
    """Without the exporters' own warnings: what matters is compared afterwards."""
    levels = {name: logging.getLogger(name).level for name in loggers}
    for name in loggers:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
