"""The optimizer moves only embeddings of tokens that training shows: half of a small model's weights are others.

MiniLM has 30,522 embeddings, 11.7 of its 22.7 million weights; a data set of 10,000 short texts shows some 2,500 of
them. The others have no gradient and no memory, and AdamW would only shrink them (weight decay): they stay as they are.
Shapes: V tokens of the vocabulary, K tokens seen, W width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from headstart.contract import Ints

MAX_SHARE = 0.5  # with more than this share of the vocabulary seen, moving rows about costs what it saves


class SparseEmbedding:
    """A small leaf (K, W) that the optimizer holds instead of the whole embedding (V, W)."""

    def __init__(self, weight: nn.Parameter, rows: Tensor) -> None:
        self.weight, self.rows = weight, rows
        self.leaf = nn.Parameter(weight.detach().index_select(0, rows))
        register: Any = weight.register_post_accumulate_grad_hook
        register(self.gather_gradient)

    def gather_gradient(self, weight: Tensor) -> None:
        """After each backward pass: add the gradient of the seen rows to the leaf's, and drop the large one."""
        assert weight.grad is not None
        gradient = weight.grad.index_select(0, self.rows)
        self.leaf.grad = gradient if self.leaf.grad is None else self.leaf.grad.add_(gradient)
        weight.grad = None

    def read_rows(self, *_: Any) -> None:
        """Before the optimizer's step: the rows as they are, whoever wrote them (a checkpoint may have)."""
        with torch.no_grad():
            torch.index_select(self.weight, 0, self.rows, out=self.leaf)

    def write_rows(self, *_: Any) -> None:
        """After the step: the moved rows into the embedding."""
        with torch.no_grad():
            self.weight.index_copy_(0, self.rows, self.leaf)


def restrict_embeddings(optimizer: torch.optim.Optimizer, module: Any, token_ids: Ints) -> SparseEmbedding | None:
    """Let an AdamW move only the embeddings of these token ids; None where that is not done.

    Not done: for another optimizer, frozen or tied embeddings, where most of the vocabulary is seen, and where clusters
    of it have tables of their own. Whoever trains promises that no other id comes. To be called before the first step,
    and
    again before a resumed one.
    """
    weight: Any = getattr(module.get_input_embeddings(), "weight", None)
    tied = module.get_output_embeddings() is not None or weight is None
    if not isinstance(optimizer, torch.optim.AdamW) or tied or not weight.requires_grad or len(
        token_ids) > MAX_SHARE * len(weight):
        return None
    rows = torch.from_numpy(token_ids).to(weight.device, torch.long)
    for group in optimizer.param_groups:
        for index, parameter in enumerate(group["params"]):
            if parameter is weight:
                sparse = SparseEmbedding(weight, rows)
                group["params"][index] = sparse.leaf
                optimizer.register_step_pre_hook(sparse.read_rows)
                optimizer.register_step_post_hook(sparse.write_rows)
                return sparse
    return None
