"""Models that are not exported, each with its reason, said before anything is computed."""

from __future__ import annotations

from typing import Any

from headstart.contract import Task
from headstart.errors import UserError
from headstart.models.model import Model

MAX_BYTES = 1_900_000_000  # of weights in fp32: one file of protobuf holds 2 GB
SERVE = "Serve the run itself: headstart serve RUN"


def refuse_unexportable(task: Task[Any], model: Model, reference: str) -> None:
    """Refuse a task or a model that one pass of a graph cannot answer; raises UserError (2)."""
    reason = reason_against(task, model)
    if reason:
        raise UserError(f"{reference} ({task.name}, {model.info.family_name}) cannot be exported: {reason}.", fix=SERVE)


def reason_against(task: Task[Any], model: Model) -> str:
    """Why a model cannot be exported; "" where nothing is known against it."""
    head = model.info.family.heads[model.head]
    if task.generative or model.generates_from_source or head.causal or task.generates(["prompt"]):
        return "it writes token by token, and a graph answers in one pass"
    if any(output.reads == "positions" for output in head.outputs.values()):
        return "it answers with a score for every piece of the vocabulary at every token, hundreds of MB for each batch"
    if head.beam_module is not None:
        return "its answer head searches likely ends for likely starts, and a graph has no such search"
    if model.early_exit is not None:
        return "it stops reading each text after as many layers as that text needs, and a graph has one depth"
    if model.tokenizer.has_memory or head.scorer:
        return "it keeps a memory from one part of a text to the next"
    if not model.tokenizer.hf_tokenizer.is_fast:
        return "its tokenizer is written in Python and has no tokenizer.json, which other runtimes read"
    size = sum(weight.numel() for weight in model.module.parameters()) * 4
    if size > MAX_BYTES:
        return f"its weights are {size / 1e9:.1f} GB, and one ONNX file holds 2 GB"
    return ""
