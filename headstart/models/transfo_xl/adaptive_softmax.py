"""How likely each next word is, cluster by cluster (Grave et al. 2017).

Shapes: N places, W width of the model, V words, C clusters after the first, F words of the first cluster.

The head scores the F most frequent words and the C clusters; a rare word's log-probability is its cluster's plus its
own inside the cluster. A loss needs the head for every place, but a cluster only for the places whose word is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from headstart.models.transfo_xl.config import TransfoXLConfig


class AdaptiveSoftmax(nn.Module):
    """Log-probabilities of all words, or of the words that came."""

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__()
        self.bounds, sizes = config.bounds, config.embedding_sizes
        self.shared = config.div_val == 1  # one table for all clusters
        clusters = len(self.bounds) - 1
        if clusters:
            self.cluster_weight = nn.Parameter(torch.empty(clusters, config.d_embed))
            self.cluster_bias = nn.Parameter(torch.empty(clusters))
        tables = [(0, config.vocab_size)] if self.shared else self.bounds
        self.out_layers = nn.ModuleList(nn.Linear(size, end - begin) for (begin, end), size in zip(tables, sizes, strict=False))
        self.out_projs = nn.ParameterList(nn.Parameter(torch.empty(config.d_model, size))
                                          for size in sizes if config.projects)

    def forward(self, states: Tensor) -> Tensor:
        """Log-probabilities of all words: (…, W) -> (…, V)."""
        head = self.head(states)
        first = self.bounds[0][1]
        # In the TensorFlow order: cluster 1 is the first column after the words. PyTorch's of 2019 took the last.
        tails = [head[..., first + cluster - 1, None] + self.tail(states, cluster) for cluster in range(1, len(self.bounds))]
        return torch.cat([head[..., :first], *tails], dim=-1)

    def losses(self, states: Tensor, targets: Tensor) -> Tensor:
        """Minus the log-probability of each place's word, in the order of the places: (N, W), (N,) -> (N,)."""
        head = self.head(states)
        first = self.bounds[0][1]
        columns = targets.clamp(max=first - 1)
        for cluster, (begin, end) in enumerate(self.bounds[1:], start=1):
            columns = torch.where((targets >= begin) & (targets < end), first + cluster - 1, columns)
        found = head.gather(1, columns[:, None])[:, 0]
        for cluster, (begin, end) in enumerate(self.bounds[1:], start=1):
            here = ((targets >= begin) & (targets < end)).nonzero()[:, 0]
            if len(here):
                inside = self.tail(states[here], cluster).gather(1, (targets[here] - begin)[:, None])[:, 0]
                found = found.index_add(0, here, inside)
        return -found

    def likeliest(self, states: Tensor) -> Tensor:
        """The likeliest word of each place: (N, W) -> (N,). A cluster is looked into only where it could hold it."""
        head = self.head(states)
        first = self.bounds[0][1]
        best, words = head[:, :first].max(1)
        for cluster, (begin, _) in enumerate(self.bounds[1:], start=1):
            here = (head[:, first + cluster - 1] > best).nonzero()[:, 0]
            if len(here):
                inside, word = self.tail(states[here], cluster).max(1)
                inside = inside + head[here, first + cluster - 1]
                wins = inside > best[here]
                words[here[wins]] = word[wins] + begin
                best[here[wins]] = inside[wins]
        return words

    def head(self, states: Tensor) -> Tensor:
        """Log-probabilities of the first cluster's words and of the other clusters, (…, F + C)."""
        weight, bias = self.table(0)
        if len(self.bounds) > 1:
            weight, bias = torch.cat([weight, self.cluster_weight]), torch.cat([bias, self.cluster_bias])
        return self.normalised(states, 0, weight, bias)

    def tail(self, states: Tensor, cluster: int) -> Tensor:
        """Log-probabilities of a cluster's words, given the cluster."""
        return self.normalised(states, cluster, *self.table(cluster))

    def table(self, cluster: int) -> tuple[Tensor, Tensor]:
        """Weight and bias of a cluster's words."""
        layer = self.out_layers[0 if self.shared else cluster]
        assert isinstance(layer, nn.Linear)
        if not self.shared:
            return layer.weight, layer.bias
        begin, end = self.bounds[cluster]
        return layer.weight[begin:end], layer.bias[begin:end]

    def normalised(self, states: Tensor, cluster: int, weight: Tensor, bias: Tensor) -> Tensor:
        """States through a cluster's projection and table, as log-probabilities in 32 bits or more."""
        if len(self.out_projs):
            states = states @ self.out_projs[cluster]
        scores = functional.linear(states, weight, bias)
        return functional.log_softmax(scores, dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))
