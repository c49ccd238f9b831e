"""Contrastive search: of the likeliest tokens the one whose state is least similar to the states before it.

P prompts, K candidates of a prompt, S tokens so far, V pieces of the vocabulary, W width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from headstart.errors import Exit, UserError
from headstart.models.loading.catalogue import CATALOGUE
from headstart.models.loading.transformers_compat import cache_key
from headstart.settings import Generation

if TYPE_CHECKING:
    from headstart.models.loading.model_info import ModelInfo
    from headstart.models.model import Model

CANDIDATES = 4  # tokens that are weighed where top_k does not say (Su et al. 2022, section 5)


def check(info: ModelInfo, settings: Generation) -> None:
    """Refuse settings that do not go with contrastive search, and families whose past states change; raises UserError
    (78).
    """
    if not settings.penalty_alpha:
        return
    if settings.do_sample or settings.num_beams > 1 or settings.num_return_sequences > 1:
        raise UserError("Contrastive search (generation.penalty_alpha) generates one text; --sample, beams and several "
                        "texts do not "
                        "go with it.", fix="Leave them out (generation.num_beams=1), or generation.penalty_alpha.",
                        exit=Exit.SETTINGS)
    if not info.family.contrastive_search:
        names = ", ".join(family.name for family in CATALOGUE if family.contrastive_search)
        raise UserError(f"There is no contrastive search for {info.reference} ({info.family_name}); there is for "
                        f"{names}.",
                        fix="Leave generation.penalty_alpha out.", exit=Exit.SETTINGS)


class ContrastiveSearch:
    """Contrastive search as the custom_generate of the library's generate (Su et al. 2022, A Contrastive Framework, eq.
    5).

    Of the `top_k` likeliest tokens v that is chosen for which (1 - penalty_alpha) · p(v) - penalty_alpha · max
    cos(state of v, state of a token before) is highest. `generate` is told of `top_k` beams, so that each candidate has
    a row.
    """

    def __init__(self, penalty_alpha: float, top_k: int, streamer: Any = None) -> None:
        self.penalty_alpha, self.top_k, self.streamer = penalty_alpha, top_k, streamer

    def __call__(self, module: Any, input_ids: Tensor, logits_processor: Any, stopping_criteria: Any,
                 generation_config: Any, **model_kwargs: Any) -> Tensor:
        """Ids (P·K, S), the rows of a prompt equal -> ids with the text, (P, S + new)."""
        model_kwargs.pop("synced_gpus", None)
        ids, first_rows = input_ids, torch.arange(0, len(input_ids), self.top_k, device=input_ids.device)
        end_ids = torch.tensor(generation_config.eos_token_id or [], device=ids.device)
        logits, states, model_kwargs = self.step(module, ids, model_kwargs, is_prompt=True)
        mask = model_kwargs.get("attention_mask") if not module.config.is_encoder_decoder else None
        # padding before a prompt resembles nothing
        token_mask = torch.ones_like(ids) if mask is None else mask[:, :ids.shape[1]]
        unfinished = torch.ones(len(first_rows), dtype=torch.bool, device=ids.device)
        if self.streamer is not None:
            self.streamer.put(ids[:1].cpu())
        while bool(unfinished.any()):
            probabilities = logits_processor(ids, logits).index_select(0, first_rows).softmax(-1)  # (P, V)
            candidates = probabilities.topk(self.top_k, dim=-1)
            tokens = candidates.indices.reshape(-1, 1)  # (P·K, 1)
            logits, new_states, model_kwargs = self.step(module, torch.cat([ids, tokens], dim=1), model_kwargs)
            best = self.best_candidates(candidates.values, states, new_states, token_mask)
            next_tokens = torch.where(unfinished, candidates.indices.gather(1, best[:, None])[:, 0],
                                      generation_config._pad_token_tensor)
            if self.streamer is not None:
                self.streamer.put(next_tokens.cpu())
            rows = (first_rows + best).repeat_interleave(self.top_k)
            model_kwargs, logits = self.reorder_cache(module, model_kwargs, rows), logits.index_select(0, rows)
            states = torch.cat([states, new_states.index_select(0, rows)], dim=1)
            ids = torch.cat([ids, next_tokens.repeat_interleave(self.top_k)[:, None]], dim=1)
            token_mask = torch.cat([token_mask, torch.ones_like(token_mask[:, :1])], dim=1)
            finished = stopping_criteria(ids, None).index_select(0, first_rows) | torch.isin(next_tokens, end_ids)
            unfinished = unfinished & ~finished
        if self.streamer is not None:
            self.streamer.end()
        return ids.index_select(0, first_rows)

    def best_candidates(self, probabilities: Tensor, states: Tensor, new_states: Tensor, token_mask: Tensor) -> Tensor:
        """Equation 5: the candidate of each prompt, (P,); probabilities (P, K), states (P·K, S, W) and (P·K, 1, W),
        mask (P·K, S).
        """
        similarity = torch.nn.functional.cosine_similarity(states, new_states,
                                                           dim=-1).masked_fill(token_mask == 0, -1.0).amax(dim=1)
        scores = (1 - self.penalty_alpha) * probabilities - self.penalty_alpha * similarity.view(-1, self.top_k)
        # what a rule forbids is no candidate
        return scores.masked_fill(probabilities == 0, float("-inf")).argmax(dim=1)

    def step(self, module: Any, ids: Tensor, model_kwargs: dict[str, Any], *,
             is_prompt: bool = False) -> tuple[Tensor, Tensor, dict[str, Any]]:
        """The scores after the last token, (P·K, V), and states of the last layer: a prompt's, (P·K, S, W), else the
        last token's.
        """
        input_length = None if is_prompt or not model_kwargs.get("use_cache") else 1
        inputs = module.prepare_inputs_for_generation(ids, next_sequence_length=input_length, **model_kwargs)
        output = module(**inputs, return_dict=True, output_hidden_states=True)
        states = (output.decoder_hidden_states if module.config.is_encoder_decoder else output.hidden_states)[-1]
        model_kwargs = module._update_model_kwargs_for_generation(output, model_kwargs,
                                                                  is_encoder_decoder=module.config.is_encoder_decoder)
        return output.logits[:, -1].float(), states if is_prompt else states[:, -1:], model_kwargs

    def reorder_cache(self, module: Any, model_kwargs: dict[str, Any], rows: Tensor) -> dict[str, Any]:
        """The cache with the entries of these rows, (P·K,)."""
        key = cache_key(model_kwargs)
        if key is not None and model_kwargs[key] is not None:
            if hasattr(module, "_reorder_cache"):
                model_kwargs[key] = module._reorder_cache(model_kwargs[key], rows)
            else:
                model_kwargs[key].reorder_cache(rows)
        return model_kwargs


def candidate_count(model: Model, settings: Generation) -> int:
    """How many likeliest tokens are weighed: all where there are no more."""
    return int(min(settings.top_k or CANDIDATES, model.decoder_config.vocab_size))


def generate_arguments(model: Model, settings: Generation, streamer: Any = None) -> dict[str, Any]:
    """The arguments of the library's generate, beside its config, for contrastive search."""
    return {"custom_generate": ContrastiveSearch(settings.penalty_alpha, candidate_count(model, settings), streamer)}
