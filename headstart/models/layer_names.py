"""The modules of an encoder's layer, by the form that `Family.first_token_layer` names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerNames:
    """The modules of a family's layer."""

    attention: str
    projections: tuple[str, str, str]  # queries, keys, values
    sum_of_heads: str
    norms: tuple[str, str]  # after attention, and the last
    feed_forward: tuple[str, str]
    activation: str


LAYER_NAMES = {
    "bert": LayerNames("attention.self", ("attention.self.query", "attention.self.key", "attention.self.value"),
                       "attention.output.dense", ("attention.output.LayerNorm", "output.LayerNorm"),
                       ("intermediate.dense", "output.dense"), "intermediate.intermediate_act_fn"),
    "distilbert": LayerNames("attention", ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
                             "attention.out_lin", ("sa_layer_norm", "output_layer_norm"), ("ffn.lin1", "ffn.lin2"),
                             "ffn.activation"),
}
