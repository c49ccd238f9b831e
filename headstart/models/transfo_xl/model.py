"""The backbone of a Transformer-XL: word ids and the memory of earlier segments in, states and the new memory out.

Shapes: B rows, Q places of a segment, M rows of memory, W width, H heads, L layers.

One departure from the library's class that this model's weights were made with: at mem_len 0, same_length has no
meaning and is left aside (there it hides every place, and the future is attended).
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
from headstart.models.transfo_xl.layers import AdaptiveEmbedding, Layer, PositionalEmbedding, RelativeAttention, unseen
from headstart.models.transfo_xl.padding import Places, check_memories, places_of, remembered


@dataclass
class TransfoXLOutput(ModelOutput):
    """States (B, Q, W); `mems`, L of (M, B, W), for the next segment; on request L + 1 states and L attentions."""

    last_hidden_state: Tensor | None = None
    mems: list[Tensor] | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


class TransfoXLPreTrainedModel(PreTrainedModel):
    """What all Transformer-XL classes share: config, first values, and which weights are one and the same."""

    config_class = TransfoXLConfig
    config: TransfoXLConfig
    base_model_prefix = "transformer"
    _input_embed_layer = "word_emb"

    def ties(self) -> dict[str, str]:
        """Weights of this module itself that are another one's: name -> name of the one that is kept in files."""
        return {}

    def get_expanded_tied_weights_keys(self, all_submodels: bool = False) -> dict[str, str]:
        """The same for transformers, which would drop it all with tie_word_embeddings off."""
        if not all_submodels:
            return self.ties()
        return {f"{prefix}.{name}".lstrip("."): f"{prefix}.{kept}".lstrip(".")
                for prefix, module in self.named_modules(remove_duplicate=False)
                if isinstance(module, TransfoXLPreTrainedModel) for name, kept in module.ties().items()}

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *more: Any, **others: Any) -> Any:
        """Refused, unless the size stays: words are parted into clusters by frequency, and a new one has no place."""
        if new_num_tokens not in (None, self.config.vocab_size):
            raise UserError(f"A Transformer-XL keeps its {self.config.vocab_size} words; {new_num_tokens} were asked for.",
                            fix="Leave the vocabulary as it is.", exit=Exit.USAGE)
        return self.get_input_embeddings()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        config = self.config
        if isinstance(module, nn.Linear | nn.Embedding):
            self.draw(module.weight)
            if isinstance(module, nn.Linear) and module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            init.normal_(module.weight, mean=1.0, std=config.init_std)
            init.zeros_(module.bias)
        elif isinstance(module, PositionalEmbedding):
            init.copy_(module.inv_freq, module.frequencies())
        elif isinstance(module, nn.ParameterList):  # only the projections; their holders may never be asked for
            for projection in module:
                init.normal_(projection, std=config.proj_init_std)
        elif isinstance(module, AdaptiveSoftmax) and len(module.bounds) > 1:
            self.draw(module.cluster_weight)
            init.zeros_(module.cluster_bias)
        elif isinstance(module, RelativeAttention | TransfoXLModel):
            for name, parameter in module.named_parameters(recurse=False):
                if name in ("r_w_bias", "r_r_bias"):
                    self.draw(parameter)

    def draw(self, weight: Tensor) -> None:
        """First values as the config wants them."""
        if self.config.init == "uniform":
            init.uniform_(weight, -self.config.init_range, self.config.init_range)
        else:
            init.normal_(weight, std=self.config.init_std)


class TransfoXLModel(TransfoXLPreTrainedModel):
    """The bare Transformer-XL."""

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
        self._tied_weights_keys = self.ties()
        self.post_init()

    def ties(self) -> dict[str, str]:
        """With untie_r off, the biases of all layers are one."""
        if self.config.untie_r:
            return {}
        return {f"layers.{layer}.dec_attn.{name}": name
                for layer in range(self.config.n_layer) for name in ("r_w_bias", "r_r_bias")}

    @can_return_tuple
    def forward(self, input_ids: Tensor | None = None, mems: Sequence[Tensor] | None = None, attention_mask: Tensor | None = None,
                inputs_embeds: Tensor | None = None, output_attentions: bool | None = None,
                output_hidden_states: bool | None = None) -> TransfoXLOutput:
        """States of one segment after the memory of earlier ones, (B, Q) or (B, Q, W) -> (B, Q, W).

        Without `mems` the memory is mem_len rows of zeros, which are attended: the model was trained so. Padding, 0 in
        `attention_mask`, may stand anywhere; it changes no word's state and leaves nothing in the memory.
        """
        config = self.config
        if (input_ids is None) == (inputs_embeds is None):
            raise UserError("Transformer-XL needs either input_ids or inputs_embeds.", fix="Pass one of the two.", exit=Exit.USAGE)
        states: Tensor = self.word_emb(input_ids) if inputs_embeds is None else inputs_embeds
        rows, length = states.shape[:2]
        if mems is not None:
            check_memories(mems, config.n_layer, rows, config.d_model)
        fresh = config.mem_len if mems is None else len(mems[0])
        places = places_of(attention_mask, rows, length)
        if places is not None:
            states = places.to_front(states)
        inputs, attentions = self.through(self.drop(states), mems, fresh)
        kept = None
        if config.mem_len:
            kept = [remembered(None if mems is None else mems[layer], inputs[layer], config.mem_len, fresh, places)
                    for layer in range(config.n_layer)]
        if places is not None:
            inputs, attentions = self.put_back(places, inputs, attentions)
        with_states = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        with_attentions = config.output_attentions if output_attentions is None else output_attentions
        return TransfoXLOutput(last_hidden_state=inputs[-1], mems=kept,
                               hidden_states=tuple(inputs) if with_states else None,
                               attentions=tuple(attentions) if with_attentions else None)

    def through(self, states: Tensor, mems: Sequence[Tensor] | None, fresh: int) -> tuple[list[Tensor], list[Tensor]]:
        """What goes into each layer and comes out of the last, L + 1 of (B, Q, W); and L attentions (B, H, Q, M + Q)."""
        config, device, length = self.config, states.device, states.shape[1]
        distances = torch.arange(fresh + length - 1, -1, -1.0, device=device)
        if config.clamp_len > 0:
            distances = distances.clamp(max=config.clamp_len)
        relative = self.drop(self.pos_emb(distances).to(states.dtype))
        hidden = unseen(length, fresh, config.mem_len if config.same_length else 0, device)
        inputs, attentions = [states], []
        for number, layer in enumerate(self.layers):
            memory = None if mems is None else mems[number].transpose(0, 1).to(states.dtype)
            states, attention = layer(states, memory, relative, hidden)
            inputs.append(states)
            attentions.append(attention)
        inputs[-1] = self.drop(states)
        return inputs, attentions

    def put_back(self, places: Places, states: list[Tensor], attentions: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """States and attentions where the words of padded rows stood."""
        return [places.put_back(one) for one in states], [places.put_back_attention(one) for one in attentions]
