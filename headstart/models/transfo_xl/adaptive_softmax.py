"""Log-probabilities of the next word, cluster by cluster (Grave et al. 2017).

Shapes: N positions, W width of the model, V words, C clusters after the first, F words of the first cluster.

The head scores the F most frequent words and the C clusters; a rare word's log-probability is its cluster's plus its
own inside the cluster. A loss needs the head for every position, but a cluster only for positions whose word is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from headstart.models.transfo_xl.config import TransfoXLConfig


class AdaptiveSoftmax(nn.Module):
    """Log-probabilities of all words, or of the target words alone."""

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__()
        self.skips_clusters = True  # that no target is in; sharded, all processes use the same weights
        self.bounds, sizes = config.bounds, config.embedding_sizes
        self.shared = config.div_val == 1  # one table for all clusters
        clusters = len(self.bounds) - 1
        if clusters:
            self.cluster_weight = nn.Parameter(torch.empty(clusters, config.d_embed))
            self.cluster_bias = nn.Parameter(torch.empty(clusters))
        tables = [(0, config.vocab_size)] if self.shared else self.bounds
        self.out_layers = nn.ModuleList(nn.Linear(size, end - start)
                                        for (start, end), size in zip(tables, sizes, strict=False))
        self.out_projs = nn.ParameterList(nn.Parameter(torch.empty(config.d_model, size))
                                          for size in sizes if config.projects)

    def forward(self, states: Tensor) -> Tensor:
        """Log-probabilities of all words: (…, W) -> (…, V)."""
        head = self.head(states)
        head_size = self.bounds[0][1]
        # In the TensorFlow order: cluster 1 is the first column after the words. PyTorch's of 2019 took the last.
        tails = [head[..., head_size + cluster - 1, None] + self.tail(states, cluster)
                 for cluster in range(1, len(self.bounds))]
        return torch.cat([head[..., :head_size], *tails], dim=-1)

    def losses(self, states: Tensor, targets: Tensor) -> Tensor:
        """Minus the log-probability of each position's target word: (N, W), (N,) -> (N,)."""
        head = self.head(states)
        head_size = self.bounds[0][1]
        columns = targets.clamp(max=head_size - 1)
        for cluster, (start, end) in enumerate(self.bounds[1:], start=1):
            columns = torch.where((targets >= start) & (targets < end), head_size + cluster - 1, columns)
        log_probabilities = head.gather(1, columns[:, None])[:, 0]
        for cluster, (start, end) in enumerate(self.bounds[1:], start=1):
            in_cluster = ((targets >= start) & (targets < end)).nonzero()[:, 0]
            if len(in_cluster) or not self.skips_clusters:
                tail = self.tail(states[in_cluster], cluster).gather(1, (targets[in_cluster] - start)[:, None])[:, 0]
                log_probabilities = log_probabilities.index_add(0, in_cluster, tail)
        return -log_probabilities

    def likeliest(self, states: Tensor) -> Tensor:
        """The likeliest word of each position: (N, W) -> (N,). A cluster is computed only where it could hold it."""
        head = self.head(states)
        head_size = self.bounds[0][1]
        best_scores, best_words = head[:, :head_size].max(1)
        for cluster, (start, _) in enumerate(self.bounds[1:], start=1):
            candidates = (head[:, head_size + cluster - 1] > best_scores).nonzero()[:, 0]
            if len(candidates):
                cluster_scores, cluster_words = self.tail(states[candidates], cluster).max(1)
                cluster_scores = cluster_scores + head[candidates, head_size + cluster - 1]
                is_better = cluster_scores > best_scores[candidates]
                best_words[candidates[is_better]] = cluster_words[is_better] + start
                best_scores[candidates[is_better]] = cluster_scores[is_better]
        return best_words

    def head(self, states: Tensor) -> Tensor:
        """Log-probabilities of the first cluster's words and of the other clusters, (…, F + C)."""
        weight, bias = self.table(0)
        if len(self.bounds) > 1:
            weight, bias = torch.cat([weight, self.cluster_weight]), torch.cat([bias, self.cluster_bias])
        return self.cluster_log_softmax(states, 0, weight, bias)

    def tail(self, states: Tensor, cluster: int) -> Tensor:
        """Log-probabilities of a cluster's words, given the cluster."""
        return self.cluster_log_softmax(states, cluster, *self.table(cluster))

    def table(self, cluster: int) -> tuple[Tensor, Tensor]:
        """Weight and bias of a cluster's words."""
        layer = self.out_layers[0 if self.shared else cluster]
        assert isinstance(layer, nn.Linear)
        if not self.shared:
            return layer.weight, layer.bias
        start, end = self.bounds[cluster]
        return layer.weight[start:end], layer.bias[start:end]

    def cluster_log_softmax(self, states: Tensor, cluster: int, weight: Tensor, bias: Tensor) -> Tensor:
        """States through a cluster's projection and table, as log-probabilities in 32 bits or more."""
        if len(self.out_projs):
            states = states @ self.out_projs[cluster]
        scores = functional.linear(states, weight, bias)
        return functional.log_softmax(scores, dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))
