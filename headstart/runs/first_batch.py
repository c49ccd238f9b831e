"""The first training batch in words, so that a person sees what the model saw."""

from __future__ import annotations

from headstart.contract import Json
from headstart.data.features.batches import split_target
from headstart.runs.fit import Fit


def first_batch(fit: Fit) -> dict[str, Json]:
    """The first training batch, decoded, as the model saw it."""
    batch = fit.steps.make_batches(fit.steps.plan()(0)[0], fit.state.micro_batch_size)[0]
    tokenizer = fit.prepared.model.tokenizer
    features: list[Json] = []
    targets = {name: split_target(batch, name) for name in batch.targets}
    for index, (row, start, end) in enumerate(batch.segments.tolist()):
        token_ids = batch.ids[row, start:end].tolist()
        features.append({"row": row, "begin": start, "end": end,
                         "tokens": tokenizer.hf_tokenizer.convert_ids_to_tokens(token_ids),
                         "ids": token_ids, "weight": float(batch.weights[index]),
                         "targets": {name: values[index].tolist() for name, values in targets.items()}})
    return {"packed": fit.steps.packed, "shape": list(batch.ids.shape), "features": features}
