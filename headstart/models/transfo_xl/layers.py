"""The layers of a Transformer-XL (Dai et al. 2019, section 3).

Shapes: B rows, Q positions of a segment, M positions of memory, K = M + Q, W width of the model, H heads, D width of a
head.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from headstart.models.transfo_xl.config import TransfoXLConfig


class AdaptiveEmbedding(nn.Module):
    """Word vectors: the rarer a word's cluster, the shorter its vector; projected to the width of the model.

    With div_val 1 all clusters share one table.
    """

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__()
        self.bounds = [(0, config.vocab_size)] if config.div_val == 1 else config.bounds
        self.scale = math.sqrt(config.d_model)
        self.width = config.d_model
        sizes = config.embedding_sizes
        self.emb_layers = nn.ModuleList(nn.Embedding(end - start, size)
                                        for (start, end), size in zip(self.bounds, sizes, strict=False))
        self.emb_projs = nn.ParameterList(nn.Parameter(torch.empty(config.d_model, size))
                                          for _, size in zip(self.bounds, sizes, strict=False) if config.projects)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, Q) -> (B, Q, W)."""
        flat = ids.reshape(-1)
        cluster_positions = [((flat >= start) & (flat < end)).nonzero()[:, 0] for start, end in self.bounds]
        if sum(len(positions) for positions in cluster_positions) < len(flat):
            raise UserError(f"Word ids must be from 0 to {self.bounds[-1][1] - 1}, but reach from {int(flat.min())} to "
                            f"{int(flat.max())}.", fix="Use the tokenizer that belongs to this model.", exit=Exit.DATA)
        if len(self.bounds) == 1:
            return self.projected_vectors(0, ids) * self.scale
        order = torch.cat(cluster_positions)
        cluster_vectors = [self.projected_vectors(cluster, flat[positions])
                           for cluster, positions in enumerate(cluster_positions)]
        vectors = torch.cat(cluster_vectors).index_select(0, torch.argsort(order))
        return (vectors * self.scale).view(*ids.shape, self.width)

    def projected_vectors(self, cluster: int, ids: Tensor) -> Tensor:
        """Projected vectors of words of one cluster, not yet scaled."""
        vectors: Tensor = self.emb_layers[cluster](ids - self.bounds[cluster][0])
        return functional.linear(vectors, self.emb_projs[cluster]) if len(self.emb_projs) else vectors


class PositionalEmbedding(nn.Module):
    """Sines and cosines of distances, side by side.

    The published files hold `inv_freq`; it follows from the width and is worked out anew in full precision, which a
    model of 16 bits would lose.
    """

    inv_freq: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.register_buffer("inv_freq", self.frequencies())

    def frequencies(self, device: torch.device | None = None) -> Tensor:
        """10000^(-2k/W), (W / 2,)."""
        powers: Tensor = 10_000 ** -(torch.arange(0.0, self.width, 2.0, device=device) / self.width)
        return powers

    def forward(self, distances: Tensor) -> Tensor:
        """(K,) -> (K, W)."""
        angles = distances[:, None] * self.frequencies(distances.device)
        return torch.cat([angles.sin(), angles.cos()], dim=-1).to(self.inv_freq.dtype)


class RelativeAttention(nn.Module):
    """Attention by content and by distance (equation in section 3.3), over memory and segment."""

    def __init__(self, config: TransfoXLConfig, r_w_bias: nn.Parameter | None, r_r_bias: nn.Parameter | None) -> None:
        super().__init__()
        self.heads, self.width = config.n_head, config.d_head
        inner_width = self.heads * self.width
        self.pre_lnorm = config.pre_lnorm
        self.qkv_net = nn.Linear(config.d_model, 3 * inner_width, bias=False)
        self.r_net = nn.Linear(config.d_model, inner_width, bias=False)
        self.o_net = nn.Linear(inner_width, config.d_model, bias=False)
        self.layer_norm = nn.LayerNorm(config.d_model, eps=config.layer_norm_epsilon)
        self.drop = nn.Dropout(config.dropout)
        self.dropatt = nn.Dropout(config.dropatt)
        self.r_w_bias = nn.Parameter(torch.empty(self.heads, self.width)) if r_w_bias is None else r_w_bias
        self.r_r_bias = nn.Parameter(torch.empty(self.heads, self.width)) if r_r_bias is None else r_r_bias

    def forward(self, states: Tensor, memory: Tensor | None, distances: Tensor,
                masked: Tensor) -> tuple[Tensor, Tensor]:
        """The new states (B, Q, W) and the attention (B, H, Q, K).

        `memory` (B, M, W) is None for zeros; `distances` (K, W) are embedded, farthest first; `masked` (Q, K) is True
        where a position may not be seen.
        """
        normed = self.layer_norm(states) if self.pre_lnorm else states
        query_weight, pair_weight = self.qkv_net.weight.split([self.heads * self.width, 2 * self.heads * self.width])
        query = self.split_heads(functional.linear(normed, query_weight))
        key, value = self.keys_and_values(normed, memory, pair_weight, masked.shape[1] - masked.shape[0])
        relative_key = self.split_heads(self.r_net(distances)[None])[0]  # (H, K, D)
        content_scores = (query + self.r_w_bias[:, None]) @ key.transpose(-1, -2)
        distance_scores = relative_shift((query + self.r_r_bias[:, None]) @ relative_key.transpose(-1, -2))
        scores = (content_scores + distance_scores) / math.sqrt(self.width)
        scores = scores.masked_fill(masked, torch.finfo(scores.dtype).min)
        precision = torch.promote_types(scores.dtype, torch.float32)
        attention = self.dropatt(functional.softmax(scores, dim=-1, dtype=precision).to(value.dtype))
        context = (attention @ value).transpose(1, 2).flatten(2)
        summed = states + self.drop(self.o_net(context))
        normed = summed if self.pre_lnorm else self.layer_norm(summed)
        return normed, attention

    def keys_and_values(self, normed: Tensor, memory: Tensor | None, weight: Tensor,
                        rows: int) -> tuple[Tensor, Tensor]:
        """Keys and values of memory and segment, (B, H, K, D) each."""
        if memory is None and not self.pre_lnorm:
            # Zeros stay zeros without a bias: the empty memory, 1,600 rows of a published model, costs nothing here.
            pair = functional.pad(functional.linear(normed, weight), (0, 0, rows, 0))
        else:
            memory = normed.new_zeros(len(normed), rows, normed.shape[2]) if memory is None else memory
            memory = self.layer_norm(memory) if self.pre_lnorm else memory
            pair = functional.linear(torch.cat([memory, normed], dim=1), weight)
        key, value = pair.chunk(2, dim=-1)
        return self.split_heads(key), self.split_heads(value)

    def split_heads(self, states: Tensor) -> Tensor:
        """(B, K, H·D) -> (B, H, K, D)."""
        return states.view(*states.shape[:2], self.heads, self.width).transpose(1, 2)


def relative_shift(scores: Tensor) -> Tensor:
    """Scores by distance, farthest first, as scores by position: column j of row i comes from column j + Q - 1 - i.

    (B, H, Q, K) -> (B, H, Q, K) by one zero column and a reshape. Positions after the query's own hold meaningless
    numbers; they are always masked.
    """
    queries = scores.shape[-2]
    padded = functional.pad(scores, (1, 0)).flatten(-2)  # Q rows of K + 1
    return padded[..., queries:].view(*scores.shape)


class FeedForward(nn.Module):
    """Two linear layers with a ReLU between, for each position by itself."""

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__()
        self.pre_lnorm = config.pre_lnorm
        self.CoreNet = nn.Sequential(nn.Linear(config.d_model, config.d_inner), nn.ReLU(), nn.Dropout(config.dropout),
                                     nn.Linear(config.d_inner, config.d_model), nn.Dropout(config.dropout))
        self.layer_norm = nn.LayerNorm(config.d_model, eps=config.layer_norm_epsilon)

    def forward(self, states: Tensor) -> Tensor:
        """(B, Q, W) -> (B, Q, W)."""
        summed: Tensor = states + self.CoreNet(self.layer_norm(states) if self.pre_lnorm else states)
        normed: Tensor = summed if self.pre_lnorm else self.layer_norm(summed)
        return normed


class Layer(nn.Module):
    """Attention, then feed-forward."""

    def __init__(self, config: TransfoXLConfig, r_w_bias: nn.Parameter | None, r_r_bias: nn.Parameter | None) -> None:
        super().__init__()
        self.dec_attn = RelativeAttention(config, r_w_bias, r_r_bias)
        self.pos_ff = FeedForward(config)

    def forward(self, states: Tensor, memory: Tensor | None, distances: Tensor,
                masked: Tensor) -> tuple[Tensor, Tensor]:
        """New states (B, Q, W) and the attention (B, H, Q, K); arguments as RelativeAttention's."""
        states, attention = self.dec_attn(states, memory, distances, masked)
        return self.pos_ff(states), attention


def masked_positions(queries: int, memory: int, window: int, device: torch.device) -> Tensor:
    """The positions that a query may not see, (Q, K): later ones, and with a window > 0 those `window` or more back."""
    distances = torch.arange(queries, device=device)[:, None] + memory - torch.arange(memory + queries, device=device)
    masked = distances < 0
    return masked | (distances >= window) if window > 0 else masked
