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
    """A small leaf (K, W) that the optimizer holds instead of the whole embedding (V, W).

    A plain lookup reads the leaf itself while it trains, so that the gradient is as small as the leaf: making and
    dropping one of (V, W) at every step took 13 % of the time of training MiniLM. A lookup that does more (BART's
    scales what it reads) goes on reading the whole embedding; the seen rows' gradient is taken from the large one.
    """

    def __init__(self, embedding: nn.Module, rows: Tensor) -> None:
        weight: Any = embedding.weight
        self.weight, self.rows = weight, rows
        self.leaf = nn.Parameter(weight.detach().index_select(0, rows))
        self.written_version = self.weight._version
        self.weight.register_post_accumulate_grad_hook(self.gather_gradient)
        if type(embedding) is nn.Embedding and embedding.max_norm is None and not embedding.sparse:
            self.row_of_token = torch.full((len(weight),), -1, dtype=torch.long, device=rows.device)
            self.row_of_token[rows] = torch.arange(len(rows), device=rows.device)
            padding = embedding.padding_idx
            padding_row = -1 if padding is None else int(self.row_of_token[padding])
            self.padding_row = None if padding_row < 0 else padding_row
            self.embedding, self.embedding_forward = embedding, embedding.forward
            embedding.__dict__["forward"] = self.look_up

    def look_up(self, token_ids: Tensor) -> Tensor:
        """The embeddings of these tokens: of the leaf's rows where a gradient is wanted, else as the layer gives them.

        Raises IndexError for a token that the leaf does not have.
        """
        if not torch.is_grad_enabled() or not self.embedding.training:
            return self.embedding_forward(token_ids)
        self.read_rows()
        return nn.functional.embedding(self.row_of_token[token_ids], self.leaf, self.padding_row,
                                       scale_grad_by_freq=self.embedding.scale_grad_by_freq)

    def gather_gradient(self, weight: Tensor) -> None:
        """After a backward pass through the whole embedding: add the gradient of the seen rows to the leaf's, and drop
        the large one."""
        assert weight.grad is not None
        gradient = weight.grad.index_select(0, self.rows)
        self.leaf.grad = gradient if self.leaf.grad is None else self.leaf.grad.add_(gradient)
        weight.grad = None

    def read_rows(self, *_: Any) -> None:
        """The rows as they are, where somebody else wrote them since (a checkpoint may have)."""
        if self.weight._version == self.written_version:
            return
        with torch.no_grad():
            torch.index_select(self.weight, 0, self.rows, out=self.leaf)
        self.written_version = self.weight._version

    def write_rows(self, *_: Any) -> None:
        """After the optimizer's step: the moved rows into the embedding."""
        with torch.no_grad():
            self.weight.index_copy_(0, self.rows, self.leaf)
        self.written_version = self.weight._version


def restrict_embeddings(optimizer: torch.optim.Optimizer, module: Any, token_ids: Ints) -> SparseEmbedding | None:
    """Let an AdamW move only the embeddings of these token ids; None where that is not done.

    Not done: for another optimizer, frozen or tied embeddings, where most of the vocabulary is seen, and where clusters
    of it have tables of their own. Whoever trains promises that no other id comes. To be called before the first step,
    and again before a resumed one.
    """
    embedding = module.get_input_embeddings()
    weight: Any = getattr(embedding, "weight", None)
    tied = module.get_output_embeddings() is not None or weight is None
    if not isinstance(optimizer, torch.optim.AdamW) or tied or not weight.requires_grad or len(
        token_ids) > MAX_SHARE * len(weight):
        return None
    rows = torch.from_numpy(token_ids).to(weight.device, torch.long)
    for group in optimizer.param_groups:
        for index, parameter in enumerate(group["params"]):
            if parameter is weight:
                sparse = SparseEmbedding(embedding, rows)
                group["params"][index] = sparse.leaf
                optimizer.register_step_pre_hook(sparse.read_rows)
                optimizer.register_step_post_hook(sparse.write_rows)
                return sparse
    return None
