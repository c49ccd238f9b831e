"""The modules of an encoder's layer, by the form that `Family.first_token_layer` names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerNames:
    """The modules of a family's layer."""

    attention: str
    projections: tuple[str, str, str]  # queries, keys, values
    sum_of_heads: str
    first_norm: str
    feed_forward: tuple[str, str]
    activation: str
    last_norm: str

    @property
    def norms(self) -> tuple[str, str]:
        """The norm after attention, and the last one."""
        return self.first_norm, self.last_norm


LAYER_NAMES = {
    "bert": LayerNames("attention.self", ("attention.self.query", "attention.self.key", "attention.self.value"),
                       "attention.output.dense", "attention.output.LayerNorm", ("intermediate.dense", "output.dense"),
                       "intermediate.intermediate_act_fn", "output.LayerNorm"),
    "distilbert": LayerNames("attention", ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
                             "attention.out_lin", "sa_layer_norm", ("ffn.lin1", "ffn.lin2"), "ffn.activation",
                             "output_layer_norm"),
}
