"""The shape of a Transformer-XL, as config.json holds it; the defaults are those of the published model."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

from transformers import PreTrainedConfig

from headstart.errors import Exit, UserError

CUTOFFS = (20_000, 40_000, 200_000)  # of the published model


class TransfoXLConfig(PreTrainedConfig):
    """Sizes of a Transformer-XL.

    Words are ordered by frequency; `cutoffs` divide them into clusters, and each next cluster's vectors are `div_val`
    times shorter. `mem_len` states of earlier segments are attended beside the segment; with `same_length` every token
    sees exactly `mem_len` positions, itself included. Distances above `clamp_len` count as `clamp_len` (0 or less:
    never).
    """

    model_type: ClassVar[str] = "transfo-xl"
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["mems"]
    attribute_map: ClassVar[dict[str, str]] = {
        "n_token": "vocab_size", "hidden_size": "d_model", "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer"}

    vocab_size: int = 267_735
    cutoffs: list[int] | None = None
    d_model: int = 1024
    d_embed: int = 1024
    n_head: int = 16
    d_head: int = 64
    d_inner: int = 4096
    div_val: int = 4
    pre_lnorm: bool = False
    n_layer: int = 18
    mem_len: int = 1600
    clamp_len: int = 1000
    same_length: bool = True
    proj_share_all_but_first: bool = True
    tie_projs: list[bool] | None = None
    attn_type: int = 0
    sample_softmax: int = -1
    adaptive: bool = True
    dropout: float | int = 0.1
    dropatt: float | int = 0.0
    untie_r: bool = True
    init: str = "normal"
    init_range: float | int = 0.01
    proj_init_std: float | int = 0.01
    init_std: float | int = 0.02
    layer_norm_epsilon: float = 1e-5
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = 0
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        self.cutoffs = list(CUTOFFS if self.cutoffs is None else self.cutoffs)
        if self.tie_projs is None:
            self.tie_projs = [False] + [self.proj_share_all_but_first] * len(self.cutoffs)
        super().__post_init__(**kwargs)
        self.check()

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """The first word of each cluster and the first word after it."""
        return list(pairwise([0, *(self.cutoffs or ()), self.vocab_size]))

    @property
    def embedding_sizes(self) -> list[int]:
        """The width of the word vectors of each cluster."""
        return [self.d_embed // self.div_val**cluster for cluster in range(len(self.bounds))]

    @property
    def projects(self) -> bool:
        """Whether word vectors are projected to the width of the model."""
        return self.div_val > 1 or self.d_embed != self.d_model

    def check(self) -> None:
        """Refuse impossible sizes, and variants that were never trained: raises UserError (78)."""
        faults = [
            (any(start >= end for start, end in self.bounds),
             f"cutoffs must grow from above 0 to below vocab_size, but are {self.cutoffs} of {self.vocab_size}"),
            (self.div_val < 1 or min(self.embedding_sizes, default=0) < 1,
             f"div_val {self.div_val} leaves no width of d_embed {self.d_embed} to cluster {len(self.bounds)}"),
            (self.tie_projs is not None and len(self.tie_projs) != len(self.bounds),
             f"tie_projs needs {len(self.bounds)} values, one a cluster, but has {len(self.tie_projs or ())}"),
            (self.d_model % 2 == 1, f"d_model must be even, but is {self.d_model}"),
            (self.mem_len < 0, f"mem_len must be 0 or more, but is {self.mem_len}"),
            (self.attn_type != 0, f"attn_type must be 0 (relative positions), but is {self.attn_type}"),
            (self.sample_softmax > 0, f"sample_softmax must be off (-1), but is {self.sample_softmax}"),
            (self.init not in ("normal", "uniform"), f"init must be normal or uniform, but is {self.init!r}"),
        ]
        for is_wrong, message in faults:
            if is_wrong:
                raise UserError(f"In the config of a Transformer-XL, {message}.", fix="Correct it in config.json.",
                                exit=Exit.SETTINGS)
