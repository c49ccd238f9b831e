"""A Transformer-XL that writes, and one that judges texts, tokens and answers.

Shapes: B rows, Q places of a segment, W width, V words, C classes.
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
from headstart.models.loading.cache_name import with_cache
from headstart.models.transfo_xl.adaptive_softmax import AdaptiveSoftmax
from headstart.models.transfo_xl.config import TransfoXLConfig
from headstart.models.transfo_xl.model import TransfoXLModel, TransfoXLOutput, TransfoXLPreTrainedModel

IGNORED = -100  # a label that takes no part in the loss


@dataclass
class TransfoXLWordsOutput(ModelOutput):
    """Of a language model: with labels the mean loss and each next word's, (B, Q - 1); without, all log-probabilities."""

    loss: Tensor | None = None
    losses: Tensor | None = None
    logits: Tensor | None = None
    mems: list[Tensor] | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None


@dataclass
class TransfoXLClassesOutput(ModelOutput):
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


def classes(config: TransfoXLConfig) -> int:
    """How many classes there are; the config always knows."""
    assert config.num_labels is not None
    return config.num_labels


def rest(found: TransfoXLOutput) -> dict[str, Any]:
    """What a head hands on from the backbone."""
    return {"mems": found.mems, "hidden_states": found.hidden_states, "attentions": found.attentions}


def last_states(config: TransfoXLConfig, states: Tensor, ids: Tensor | None, mask: Tensor | None) -> Tensor:
    """The state of each row's last word, (B, Q, W) -> (B, W)."""
    length = states.shape[1]
    words = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    if mask is not None:
        words = words & (mask[:, mask.shape[1] - length:] != 0)
    if ids is not None and config.pad_token_id is not None:
        words = words & (ids != config.pad_token_id)
    places = torch.where(words, torch.arange(length, device=states.device), 0).argmax(1)
    return states[torch.arange(len(states), device=states.device), places]


class TransfoXLLMHeadModel(TransfoXLPreTrainedModel, GenerationMixin):
    """The language model: log-probabilities of the next word, and text by `generate`, which carries the memory along."""

    _is_stateful = True  # a memory cannot be cut back, as assisted decoding would

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__(config)
        self.transformer = TransfoXLModel(config)
        self.crit = AdaptiveSoftmax(config)
        self._tied_weights_keys = self.ties()
        self.post_init()

    def ties(self) -> dict[str, str]:
        """Tables and projections that writing shares with reading."""
        config, made = self.config, {}
        if config.tie_word_embeddings:
            for table in range(len(self.crit.out_layers)):
                made[f"crit.out_layers.{table}.weight"] = f"transformer.word_emb.emb_layers.{table}.weight"
        for cluster, tied in enumerate(config.tie_projs or ()):
            if tied and config.projects:
                table = 0 if config.div_val == 1 else cluster
                made[f"crit.out_projs.{cluster}"] = f"transformer.word_emb.emb_projs.{table}"
        return made

    def get_output_embeddings(self) -> None:
        """None: the words are scored cluster by cluster, by no single layer."""
        return

    @can_return_tuple
    def forward(self, input_ids: Tensor | None = None, mems: Sequence[Tensor] | None = None, attention_mask: Tensor | None = None,
                inputs_embeds: Tensor | None = None, labels: Tensor | None = None, output_attentions: bool | None = None,
                output_hidden_states: bool | None = None, logits_to_keep: int = 0) -> TransfoXLWordsOutput:
        """Log-probabilities (B, Q, V) of each next word, or of the last `logits_to_keep` places.

        With `labels` (B, Q), the words themselves (shifted here), the losses instead: nothing of size V is built.
        Labels of -100 and padding take no part.
        """
        found: TransfoXLOutput = self.transformer(input_ids, mems=mems, attention_mask=attention_mask, inputs_embeds=inputs_embeds,
                                                  output_attentions=output_attentions, output_hidden_states=output_hidden_states)
        states = found.last_hidden_state
        assert states is not None
        if labels is None:
            return TransfoXLWordsOutput(logits=self.crit(states[:, -logits_to_keep:]), **rest(found))
        if labels.shape != states.shape[:2]:
            raise UserError(f"labels must be {tuple(states.shape[:2])}, but are {tuple(labels.shape)}.",
                            fix="Pass the ids themselves; they are shifted here.", exit=Exit.USAGE)
        loss, losses = self.losses(states, labels, attention_mask)
        return TransfoXLWordsOutput(loss=loss, losses=losses, **rest(found))

    def losses(self, states: Tensor, labels: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """The mean over the words that count (0 when there is none), and each place's own (B, Q - 1), 0 where it counts not."""
        counts = labels[:, 1:] != IGNORED
        if mask is not None:
            words = mask[:, mask.shape[1] - labels.shape[1]:] != 0
            counts = counts & words[:, 1:] & words[:, :-1]
        each = self.crit.losses(states[:, :-1][counts], labels[:, 1:][counts])
        losses = each.new_zeros(counts.shape).masked_scatter(counts, each)
        return each.sum() / max(1, len(each)), losses

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False

    def prepare_inputs_for_generation(self, input_ids: Tensor, next_sequence_length: int | None = None, past_key_values: Any = None,
                                      attention_mask: Tensor | None = None, inputs_embeds: Tensor | None = None,
                                      is_first_iteration: bool | None = False, **kwargs: Any) -> dict[str, Any]:
        """The last word and the memory so far; all words again after the memory given at first, where none is kept."""
        made: dict[str, Any] = {key: kwargs[key] for key in ("output_attentions", "output_hidden_states", "logits_to_keep")
                                if key in kwargs}
        kept = kwargs.get("cache", past_key_values)  # the library's 5.24 renamed it
        if kept is not None and kwargs.get("use_cache") is not False:
            return {**made, "input_ids": input_ids[:, -1:], "mems": kept}
        mems: Sequence[Tensor] | None = kwargs.get("mems")
        if mems is not None and mems[0].shape[1] != len(input_ids):  # several answers to each prompt
            mems = [memory.repeat_interleave(len(input_ids) // memory.shape[1], dim=1) for memory in mems]
        if inputs_embeds is not None and is_first_iteration:
            return {**made, "inputs_embeds": inputs_embeds, "attention_mask": attention_mask, "mems": mems}
        return {**made, "input_ids": input_ids, "attention_mask": attention_mask, "mems": mems}

    def _update_model_kwargs_for_generation(self, outputs: Any, model_kwargs: dict[str, Any], *given: Any, **named: Any) -> dict[str, Any]:
        made: dict[str, Any] = super()._update_model_kwargs_for_generation(outputs, model_kwargs, *given, **named)
        if model_kwargs.get("use_cache") is not False and outputs.get("mems") is not None:
            made |= with_cache(outputs["mems"])
        return made

    @staticmethod
    def _reorder_cache(mems: Sequence[Tensor], beam_idx: Tensor) -> Sequence[Tensor]:
        if mems[0].shape[1] != len(beam_idx):  # given at first: the same for all beams of a prompt
            return mems
        return [memory.index_select(1, beam_idx.to(memory.device)) for memory in mems]


class TransfoXLForSequenceClassification(TransfoXLPreTrainedModel):
    """Classes of a text, read from its last word.

    The library's class of old has a `score` of width d_embed, which only fits where that is d_model.
    """

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.transformer = TransfoXLModel(config)
        self.score = nn.Linear(config.d_model, classes(config), bias=False)
        self.post_init()

    @can_return_tuple
    def forward(self, input_ids: Tensor | None = None, mems: Sequence[Tensor] | None = None, attention_mask: Tensor | None = None,
                inputs_embeds: Tensor | None = None, labels: Tensor | None = None, output_attentions: bool | None = None,
                output_hidden_states: bool | None = None) -> TransfoXLClassesOutput:
        """Logits (B, C), of the last word that is neither hidden by `attention_mask` nor padding by its id."""
        found: TransfoXLOutput = self.transformer(input_ids, mems=mems, attention_mask=attention_mask, inputs_embeds=inputs_embeds,
                                                  output_attentions=output_attentions, output_hidden_states=output_hidden_states)
        states = found.last_hidden_state
        assert states is not None
        logits = self.score(last_states(self.config, states, input_ids, attention_mask))
        loss = None if labels is None else self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return TransfoXLClassesOutput(loss=loss, logits=logits, **rest(found))


class TransfoXLForMultipleChoice(TransfoXLPreTrainedModel):
    """One of several choices, each with its question a text that is judged by its last word."""

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__(config)
        self.transformer = TransfoXLModel(config)
        self.score = nn.Linear(config.d_model, 1, bias=False)
        self.post_init()

    @can_return_tuple
    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None,
                output_attentions: bool | None = None, output_hidden_states: bool | None = None) -> TransfoXLClassesOutput:
        """Scores of the choices, (B, choices, Q) -> (B, choices)."""
        ids = input_ids.flatten(0, 1)
        mask = None if attention_mask is None else attention_mask.flatten(0, 1)
        found: TransfoXLOutput = self.transformer(ids, attention_mask=mask, output_attentions=output_attentions,
                                                  output_hidden_states=output_hidden_states)
        assert found.last_hidden_state is not None
        logits = self.score(last_states(self.config, found.last_hidden_state, ids, mask)).view(input_ids.shape[:2])
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return TransfoXLClassesOutput(loss=loss, logits=logits, **rest(found))


class TransfoXLForTokenClassification(TransfoXLPreTrainedModel):
    """Classes of each token; it has read what stands before, not what comes after."""

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.transformer = TransfoXLModel(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.d_model, classes(config))
        self.post_init()

    @can_return_tuple
    def forward(self, input_ids: Tensor | None = None, mems: Sequence[Tensor] | None = None, attention_mask: Tensor | None = None,
                inputs_embeds: Tensor | None = None, labels: Tensor | None = None, output_attentions: bool | None = None,
                output_hidden_states: bool | None = None) -> TransfoXLClassesOutput:
        """Logits (B, Q, C); labels of -100 take no part in the loss."""
        found: TransfoXLOutput = self.transformer(input_ids, mems=mems, attention_mask=attention_mask, inputs_embeds=inputs_embeds,
                                                  output_attentions=output_attentions, output_hidden_states=output_hidden_states)
        logits = self.classifier(self.dropout(found.last_hidden_state))
        loss = None if labels is None else self.loss_function(logits, labels, self.config)
        return TransfoXLClassesOutput(loss=loss, logits=logits, **rest(found))


class TransfoXLForQuestionAnswering(TransfoXLPreTrainedModel):
    """The answer as a span of a passage."""

    def __init__(self, config: TransfoXLConfig) -> None:
        super().__init__(config)
        self.transformer = TransfoXLModel(config)
        self.qa_outputs = nn.Linear(config.d_model, 2)
        self.post_init()

    @can_return_tuple
    def forward(self, input_ids: Tensor | None = None, mems: Sequence[Tensor] | None = None, attention_mask: Tensor | None = None,
                inputs_embeds: Tensor | None = None, start_positions: Tensor | None = None, end_positions: Tensor | None = None,
                output_attentions: bool | None = None, output_hidden_states: bool | None = None) -> TransfoXLSpanOutput:
        """Scores of each place as first and last token, (B, Q) each."""
        found: TransfoXLOutput = self.transformer(input_ids, mems=mems, attention_mask=attention_mask, inputs_embeds=inputs_embeds,
                                                  output_attentions=output_attentions, output_hidden_states=output_hidden_states)
        begins, ends = self.qa_outputs(found.last_hidden_state).unbind(-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = self.loss_function(begins, ends, start_positions, end_positions)
        return TransfoXLSpanOutput(loss=loss, start_logits=begins.contiguous(), end_logits=ends.contiguous(), **rest(found))
