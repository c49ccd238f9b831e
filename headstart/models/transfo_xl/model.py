"""The backbone of a Transformer-XL: word ids and the memory of earlier segments in, states and the new memory out.

Shapes: B rows, Q tokens of a segment, M positions of memory, W width, H heads, L layers.

One departure from the library's class that this model's weights were trained with: at mem_len 0, same_length has no
meaning and is ignored (there it masks every position, and the future is attended).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils.generic import ModelOutput, can_return_tuple

from headstart.errors import Exit, UserError
from headstart.models.transfo_xl.adaptive_softmax import AdaptiveSoftmax
from headstart.models.transfo_xl.config import TransfoXLConfig
from headstart.models.transfo_xl.layers import (
    AdaptiveEmbedding,
    Layer,
    PositionalEmbedding,
    RelativeAttention,
    masked_positions,
)
from headstart.models.transfo_xl.padding import PaddedRows, check_memories, next_memory, padded_rows


@dataclass
class TransfoXLOutput(ModelOutput):
    """States (B, Q, W); `mems`, L of (M, B, W), for the next segment; on request L + 1 states and L attentions."""

    last_hidden_state: Tensor | None = None
    mems: list[Tensor] | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class TransfoXLPreTrainedModel(PreTrainedModel):
    """The base of all Transformer-XL classes: config, initialisation, and tied weights."""

    config_class = TransfoXLConfig
    config: TransfoXLConfig
    base_model_prefix = "transformer"
    _input_embed_layer = "word_emb"

    def tied_names(self) -> dict[str, str]:
        """Tied weights of this module itself: name -> name of the weight in files."""
        return {}

    def get_expanded_tied_weights_keys(self, all_submodels: bool = False) -> dict[str, str]:
        """The same for transformers, which would drop all with tie_word_embeddings off."""
        if not all_submodels:
            return self.tied_names()
        return {f"{prefix}.{name}".lstrip("."): f"{prefix}.{saved_name}".lstrip(".")
                for prefix, module in self.named_modules(remove_duplicate=False)
                if isinstance(module, TransfoXLPreTrainedModel) for name, saved_name in module.tied_names().items()}

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """Refused, unless the size stays: words are in clusters by frequency, and a new word has none."""
        if new_num_tokens not in (None, self.config.vocab_size):
            raise UserError(f"A Transformer-XL keeps its {self.config.vocab_size} words; {new_num_tokens} were asked "
                            "for.",
                            fix="Leave the vocabulary as it is.", exit=Exit.USAGE)
        return self.get_input_embeddings()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        config = self.config
        if isinstance(module, nn.Linear | nn.Embedding):
            self.init_weight(module.weight)
            if isinstance(module, nn.Linear) and module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            init.normal_(module.weight, mean=1.0, std=config.init_std)
            init.zeros_(module.bias)
        elif isinstance(module, PositionalEmbedding):
            init.copy_(module.inv_freq, module.frequencies())
        elif isinstance(module, nn.ParameterList):  # only the projections; the modules that own them may never get here
            for projection in module:
                init.normal_(projection, std=config.proj_init_std)
        elif isinstance(module, AdaptiveSoftmax) and len(module.bounds) > 1:
            self.init_weight(module.cluster_weight)
            init.zeros_(module.cluster_bias)
        elif isinstance(module, RelativeAttention | TransfoXLModel):
            for name, parameter in module.named_parameters(recurse=False):
                if name in ("r_w_bias", "r_r_bias"):
                    self.init_weight(parameter)

    def init_weight(self, weight: Tensor) -> None:
        """Initialise a weight as the config says."""
        if self.config.init == "uniform":
            init.uniform_(weight, -self.config.init_range, self.config.init_range)
        else:
            init.normal_(weight, std=self.config.init_std)


class TransfoXLModel(TransfoXLPreTrainedModel):
    """The Transformer-XL backbone."""

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__(config)
        self.word_emb = AdaptiveEmbedding(config)
        self.drop = nn.Dropout(config.dropout)
        self.r_w_bias: nn.Parameter | None = None
        self.r_r_bias: nn.Parameter | None = None
        if not config.untie_r:
            self.r_w_bias = nn.Parameter(torch.empty(config.n_head, config.d_head))
            self.r_r_bias = nn.Parameter(torch.empty(config.n_head, config.d_head))
        self.layers = nn.ModuleList(Layer(config, self.r_w_bias, self.r_r_bias) for _ in range(config.n_layer))
        self.pos_emb = PositionalEmbedding(config.d_model)
        self._tied_weights_keys = self.tied_names()
        self.post_init()

    def tied_names(self) -> dict[str, str]:
        """With untie_r off, all layers share their biases."""
        if self.config.untie_r:
            return {}
        return {f"layers.{layer}.dec_attn.{name}": name
                for layer in range(self.config.n_layer) for name in ("r_w_bias", "r_r_bias")}

    @can_return_tuple
    def forward(self, input_ids: Tensor | None = None, mems: Sequence[Tensor] | None = None,
                attention_mask: Tensor | None = None,
                inputs_embeds: Tensor | None = None, output_attentions: bool | None = None,
                output_hidden_states: bool | None = None) -> TransfoXLOutput:
        """States of one segment after the memory of earlier ones, (B, Q) or (B, Q, W) -> (B, Q, W).

        Without `mems` the memory is mem_len positions of zeros, which are attended: the model was trained so. Padding,
        0 in `attention_mask`, may stand anywhere; it changes no word's state and does not enter the memory.
        """
        config = self.config
        if (input_ids is None) == (inputs_embeds is None):
            raise UserError("Transformer-XL needs either input_ids or inputs_embeds.", fix="Pass one of the two.",
                            exit=Exit.USAGE)
        states: Tensor = self.word_emb(input_ids) if inputs_embeds is None else inputs_embeds
        rows, length = states.shape[:2]
        if mems is not None:
            check_memories(mems, config.n_layer, rows, config.d_model)
        memory_length = config.mem_len if mems is None else len(mems[0])
        padding = padded_rows(attention_mask, rows, length)
        if padding is not None:
            states = padding.left_align(states)
        layer_states, attentions = self.run_layers(self.drop(states), mems, memory_length)
        memories = None
        if config.mem_len:
            memories = [next_memory(None if mems is None else mems[layer], layer_states[layer], config.mem_len,
                                    memory_length, padding)
                    for layer in range(config.n_layer)]
        if padding is not None:
            layer_states, attentions = self.restore_order(padding, layer_states, attentions)
        returns_states = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        returns_attentions = config.output_attentions if output_attentions is None else output_attentions
        return TransfoXLOutput(last_hidden_state=layer_states[-1], mems=memories,
                               hidden_states=tuple(layer_states) if returns_states else None,
                               attentions=tuple(attentions) if returns_attentions else None)

    def run_layers(self, states: Tensor, mems: Sequence[Tensor] | None,
                   memory_length: int) -> tuple[list[Tensor], list[Tensor]]:
        """The inputs of each layer and the output of the last, L + 1 of (B, Q, W); and L attentions (B, H, Q, M + Q).
        """
        config, device, length = self.config, states.device, states.shape[1]
        distances = torch.arange(memory_length + length - 1, -1, -1.0, device=device)
        if config.clamp_len > 0:
            distances = distances.clamp(max=config.clamp_len)
        distance_states = self.drop(self.pos_emb(distances).to(states.dtype))
        masked = masked_positions(length, memory_length, config.mem_len if config.same_length else 0, device)
        layer_states, attentions = [states], []
        for index, layer in enumerate(self.layers):
            memory = None if mems is None else mems[index].transpose(0, 1).to(states.dtype)
            states, attention = layer(states, memory, distance_states, masked)
            layer_states.append(states)
            attentions.append(attention)
        layer_states[-1] = self.drop(states)
        return layer_states, attentions

    def restore_order(self, padding: PaddedRows, states: list[Tensor],
                      attentions: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """States and attentions in the original order of padded rows."""
        return [padding.restore_order(state) for state in states], [padding.restore_attention(attention)
                                                                    for attention in attentions]
