"""Heads of Transformer-XL: language model, and classifiers of texts, tokens, choices and answers.

Shapes: B rows, Q tokens of a segment, W width, V words, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin
from transformers.utils.generic import ModelOutput, can_return_tuple

from headstart.errors import Exit, UserError
from headstart.models.loading.transformers_compat import with_cache
from headstart.models.transfo_xl.adaptive_softmax import AdaptiveSoftmax
from headstart.models.transfo_xl.config import TransfoXLConfig
from headstart.models.transfo_xl.model import TransfoXLModel, TransfoXLOutput, TransfoXLPreTrainedModel

IGNORED = -100  # a label that takes no part in the loss


@dataclass
class TransfoXLLMOutput(ModelOutput):
    """Of a language model: with labels the mean loss and each next word's, (B, Q - 1); without, all log-probabilities.
    """

    loss: Tensor | None = None
    losses: Tensor | None = None
    logits: Tensor | None = None
    mems: list[Tensor] | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class TransfoXLClassifierOutput(ModelOutput):
    """Of a classifier: logits (B, C) for texts, (B, Q, C) for tokens."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    mems: list[Tensor] | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class TransfoXLSpanOutput(ModelOutput):
    """Scores of being the first and the last token of the answer, (B, Q) each."""

    loss: Tensor | None = None
    start_logits: Tensor | None = None
    end_logits: Tensor | None = None
    mems: list[Tensor] | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


def class_count(config: TransfoXLConfig) -> int:
    """The number of classes; the config always has it."""
    assert config.num_labels is not None
    return config.num_labels


def shared_outputs(backbone_output: TransfoXLOutput) -> dict[str, Any]:
    """The outputs that a head passes on from the backbone."""
    return {"mems": backbone_output.mems, "hidden_states": backbone_output.hidden_states,
            "attentions": backbone_output.attentions}


def last_states(config: TransfoXLConfig, states: Tensor, ids: Tensor | None, mask: Tensor | None) -> Tensor:
    """The state of each row's last word, (B, Q, W) -> (B, W)."""
    length = states.shape[1]
    is_word = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    if mask is not None:
        is_word = is_word & (mask[:, mask.shape[1] - length:] != 0)
    if ids is not None and config.pad_token_id is not None:
        is_word = is_word & (ids != config.pad_token_id)
    last_positions = torch.where(is_word, torch.arange(length, device=states.device), 0).argmax(1)
    return states[torch.arange(len(states), device=states.device), last_positions]


class TransfoXLLMHeadModel(TransfoXLPreTrainedModel, GenerationMixin):
    """The language model: log-probabilities of the next word, and text by `generate`, which carries the memory."""

    _is_stateful = True  # a memory cannot be shortened, as assisted decoding would

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__(config)
        self.transformer = TransfoXLModel(config)
        self.crit = AdaptiveSoftmax(config)
        self._tied_weights_keys = self.tied_names()
        self.post_init()

    def tied_names(self) -> dict[str, str]:
        """Tables and projections of the output that are tied to the embeddings."""
        config, names = self.config, {}
        if config.tie_word_embeddings:
            for table in range(len(self.crit.out_layers)):
                names[f"crit.out_layers.{table}.weight"] = f"transformer.word_emb.emb_layers.{table}.weight"
        for cluster, tied in enumerate(config.tie_projs or ()):
            if tied and config.projects:
                table = 0 if config.div_val == 1 else cluster
                names[f"crit.out_projs.{cluster}"] = f"transformer.word_emb.emb_projs.{table}"
        return names

    def get_output_embeddings(self) -> None:
        """None: words are scored cluster by cluster, by no single layer."""
        return

    @can_return_tuple
    def forward(self, input_ids: Tensor | None = None, mems: Sequence[Tensor] | None = None,
                attention_mask: Tensor | None = None,
                inputs_embeds: Tensor | None = None, labels: Tensor | None = None,
                output_attentions: bool | None = None,
                output_hidden_states: bool | None = None, logits_to_keep: int = 0) -> TransfoXLLMOutput:
        """Log-probabilities (B, Q, V) of each next word, or of the last `logits_to_keep` positions.

        With `labels` (B, Q), the words themselves (shifted here), the losses instead: no tensor of size V is built.
        Labels of -100 and padding take no part.
        """
        backbone_output: TransfoXLOutput = self.transformer(
            input_ids, mems=mems, attention_mask=attention_mask, inputs_embeds=inputs_embeds,
            output_attentions=output_attentions, output_hidden_states=output_hidden_states)
        states = backbone_output.last_hidden_state
        assert states is not None
        if labels is None:
            return TransfoXLLMOutput(logits=self.crit(states[:, -logits_to_keep:]), **shared_outputs(backbone_output))
        if labels.shape != states.shape[:2]:
            raise UserError(f"labels must be {tuple(states.shape[:2])}, but are {tuple(labels.shape)}.",
                            fix="Pass the ids themselves; they are shifted here.", exit=Exit.USAGE)
        loss, losses = self.losses(states, labels, attention_mask)
        return TransfoXLLMOutput(loss=loss, losses=losses, **shared_outputs(backbone_output))

    def losses(self, states: Tensor, labels: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """The mean over counted words (0 when there are none), and each position's loss (B, Q - 1), 0 where not
        counted.
        """
        is_counted = labels[:, 1:] != IGNORED
        if mask is not None:
            is_word = mask[:, mask.shape[1] - labels.shape[1]:] != 0
            is_counted = is_counted & is_word[:, 1:] & is_word[:, :-1]
        word_losses = self.crit.losses(states[:, :-1][is_counted], labels[:, 1:][is_counted])
        losses = word_losses.new_zeros(is_counted.shape).masked_scatter(is_counted, word_losses)
        return word_losses.sum() / max(1, len(word_losses)), losses

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False

    def prepare_inputs_for_generation(self, input_ids: Tensor, next_sequence_length: int | None = None,
                                      past_key_values: Any = None,
                                      attention_mask: Tensor | None = None, inputs_embeds: Tensor | None = None,
                                      is_first_iteration: bool | None = False, **kwargs: Any) -> dict[str, Any]:
        """The last word and the memory so far; without a cache all words again after the initial memory."""
        model_inputs: dict[str, Any] = {key: kwargs[key]
                                        for key in ("output_attentions", "output_hidden_states", "logits_to_keep")
                                        if key in kwargs}
        cache = kwargs.get("cache", past_key_values)  # the library's 5.24 renamed it
        if cache is not None and kwargs.get("use_cache") is not False:
            return {**model_inputs, "input_ids": input_ids[:, -1:], "mems": cache}
        mems: Sequence[Tensor] | None = kwargs.get("mems")
        if mems is not None and mems[0].shape[1] != len(input_ids):  # several texts for each prompt
            mems = [memory.repeat_interleave(len(input_ids) // memory.shape[1], dim=1) for memory in mems]
        if inputs_embeds is not None and is_first_iteration:
            return {**model_inputs, "inputs_embeds": inputs_embeds, "attention_mask": attention_mask, "mems": mems}
        return {**model_inputs, "input_ids": input_ids, "attention_mask": attention_mask, "mems": mems}

    def _update_model_kwargs_for_generation(self, outputs: Any, model_kwargs: dict[str, Any], *args: Any,
                                            **kwargs: Any) -> dict[str, Any]:
        new_kwargs: dict[str, Any] = super()._update_model_kwargs_for_generation(outputs, model_kwargs, *args, **kwargs)
        if model_kwargs.get("use_cache") is not False and outputs.get("mems") is not None:
            new_kwargs |= with_cache(outputs["mems"])
        return new_kwargs

    @staticmethod
    def _reorder_cache(mems: Sequence[Tensor], beam_idx: Tensor) -> Sequence[Tensor]:
        if mems[0].shape[1] != len(beam_idx):  # the initial memory: the same for all beams of a prompt
            return mems
        return [memory.index_select(1, beam_idx.to(memory.device)) for memory in mems]


class TransfoXLForSequenceClassification(TransfoXLPreTrainedModel):
    """Classes of a text, from the state of its last word.

    The library's former class has a `score` of width d_embed, which only fits where that is d_model.
    """

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.transformer = TransfoXLModel(config)
        self.score = nn.Linear(config.d_model, class_count(config), bias=False)
        self.post_init()

    @can_return_tuple
    def forward(self, input_ids: Tensor | None = None, mems: Sequence[Tensor] | None = None,
                attention_mask: Tensor | None = None,
                inputs_embeds: Tensor | None = None, labels: Tensor | None = None,
                output_attentions: bool | None = None,
                output_hidden_states: bool | None = None) -> TransfoXLClassifierOutput:
        """Logits (B, C), of the last word that is neither masked by `attention_mask` nor padding by its id."""
        backbone_output: TransfoXLOutput = self.transformer(
            input_ids, mems=mems, attention_mask=attention_mask, inputs_embeds=inputs_embeds,
            output_attentions=output_attentions, output_hidden_states=output_hidden_states)
        states = backbone_output.last_hidden_state
        assert states is not None
        logits = self.score(last_states(self.config, states, input_ids, attention_mask))
        loss = None if labels is None else self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return TransfoXLClassifierOutput(loss=loss, logits=logits, **shared_outputs(backbone_output))


class TransfoXLForMultipleChoice(TransfoXLPreTrainedModel):
    """One of several choices, each scored with its question by the last word."""

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__(config)
        self.transformer = TransfoXLModel(config)
        self.score = nn.Linear(config.d_model, 1, bias=False)
        self.post_init()

    @can_return_tuple
    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None,
                output_attentions: bool | None = None,
                output_hidden_states: bool | None = None) -> TransfoXLClassifierOutput:
        """Scores of the choices, (B, choices, Q) -> (B, choices)."""
        ids = input_ids.flatten(0, 1)
        mask = None if attention_mask is None else attention_mask.flatten(0, 1)
        backbone_output: TransfoXLOutput = self.transformer(ids, attention_mask=mask,
                                                            output_attentions=output_attentions,
                                                  output_hidden_states=output_hidden_states)
        assert backbone_output.last_hidden_state is not None
        logits = self.score(last_states(self.config, backbone_output.last_hidden_state, ids,
                                        mask)).view(input_ids.shape[:2])
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return TransfoXLClassifierOutput(loss=loss, logits=logits, **shared_outputs(backbone_output))


class TransfoXLForTokenClassification(TransfoXLPreTrainedModel):
    """Classes of each token; it sees the tokens before, not those after."""

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.transformer = TransfoXLModel(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.d_model, class_count(config))
        self.post_init()

    @can_return_tuple
    def forward(self, input_ids: Tensor | None = None, mems: Sequence[Tensor] | None = None,
                attention_mask: Tensor | None = None,
                inputs_embeds: Tensor | None = None, labels: Tensor | None = None,
                output_attentions: bool | None = None,
                output_hidden_states: bool | None = None) -> TransfoXLClassifierOutput:
        """Logits (B, Q, C); labels of -100 take no part in the loss."""
        backbone_output: TransfoXLOutput = self.transformer(
            input_ids, mems=mems, attention_mask=attention_mask, inputs_embeds=inputs_embeds,
            output_attentions=output_attentions, output_hidden_states=output_hidden_states)
        logits = self.classifier(self.dropout(backbone_output.last_hidden_state))
        loss = None if labels is None else self.loss_function(logits, labels, self.config)
        return TransfoXLClassifierOutput(loss=loss, logits=logits, **shared_outputs(backbone_output))


class TransfoXLForQuestionAnswering(TransfoXLPreTrainedModel):
    """The answer as a span of a passage."""

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__(config)
        self.transformer = TransfoXLModel(config)
        self.qa_outputs = nn.Linear(config.d_model, 2)
        self.post_init()

    @can_return_tuple
    def forward(self, input_ids: Tensor | None = None, mems: Sequence[Tensor] | None = None,
                attention_mask: Tensor | None = None,
                inputs_embeds: Tensor | None = None, start_positions: Tensor | None = None,
                end_positions: Tensor | None = None,
                output_attentions: bool | None = None, output_hidden_states: bool | None = None) -> TransfoXLSpanOutput:
        """Scores of each token as first and last token of the answer, (B, Q) each."""
        backbone_output: TransfoXLOutput = self.transformer(
            input_ids, mems=mems, attention_mask=attention_mask, inputs_embeds=inputs_embeds,
            output_attentions=output_attentions, output_hidden_states=output_hidden_states)
        start_logits, end_logits = self.qa_outputs(backbone_output.last_hidden_state).unbind(-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = self.loss_function(start_logits, end_logits, start_positions, end_positions)
        return TransfoXLSpanOutput(loss=loss, start_logits=start_logits.contiguous(),
                                   end_logits=end_logits.contiguous(), **shared_outputs(backbone_output))
