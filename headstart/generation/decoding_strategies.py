"""Texts that are unlike: groups of beams that keep away from one another, and tokens that keep away from what stands there.

P prompts, K ways that are followed side by side for each, S tokens so far, V pieces, W width.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from headstart.errors import Exit, UserError
from headstart.models.loading.cache_name import cache_key
from headstart.settings import Generation

if TYPE_CHECKING:
    from headstart.models.loading.model_info import Facts
    from headstart.models.model import Model

Text = TypeVar("Text")
CANDIDATES = 4  # tokens that contrastive search weighs, where top_k does not say (Su et al. 2022, section 5)
KEEPS = ("gpt2", "openai-gpt", "ctrl", "llama", "t5", "bart", "mbart", "pegasus", "marian")  # whose states of the past stay as they are


class Unlike:
    """What the groups before chose at each step: makes the same tokens less likely, and listens to this group's choice.

    Scores of a token lose `diversity` for each beam of an earlier group that took it at the same step (Vijayakumar et al. 2016,
    Diverse Beam Search, eq. 4 with the Hamming distance). A group depends on those before it alone, so groups can be written
    one after the other.
    """

    def __init__(self, prompts: int, beams: int, width: int, diversity: float, ends: Collection[int]) -> None:
        self.prompts, self.beams, self.width, self.diversity, self.ends = prompts, beams, width, diversity, set(ends)
        self.before: list[list[Counter[int]]] = []  # by step and prompt: what earlier groups took
        self.now: list[list[Counter[int]]] = []

    def next_group(self) -> None:
        """What this group took counts for the next one, too."""
        for step, held in enumerate(self.now):
            if step == len(self.before):
                self.before.append([Counter() for _ in range(self.prompts)])
            self.before[step] = [one + other for one, other in zip(self.before[step], held, strict=True)]
        self.now = []

    def rule(self, ids: Tensor, scores: Tensor) -> Tensor:
        """The scores of a step, (P·K, V), after ids (P·K, S)."""
        step = ids.shape[1] - self.width
        if step >= len(self.before):
            return scores
        made = scores.clone()
        for row in range(len(scores)):
            for token, count in self.before[step][row * self.prompts // len(scores)].items():
                made[row, token] -= self.diversity * count
        return made

    def listen(self, ids: Tensor, scores: Any, **_: Any) -> Tensor:
        """Hears the continuations of a step, likeliest first, of which the first that do not end are followed; stops nothing."""
        each = len(ids) // self.prompts
        last = ids[:, -1].tolist()
        self.now.append([Counter([token for token in last[place * each:(place + 1) * each] if token not in self.ends][:self.beams])
                         for place in range(self.prompts)])
        return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)


def in_groups(settings: Generation, unlike: Unlike, write: Callable[[Generation, Unlike], list[list[Text]]]) -> list[list[Text]]:
    """The texts of each prompt, the best of each group in turn; `write` follows one group's beams."""
    groups = []
    own = dataclasses.replace(settings, beams=settings.beams // settings.beam_groups, beam_groups=1,
                              answers=-(-settings.answers // settings.beam_groups))
    for _ in range(settings.beam_groups):
        groups.append(write(own, unlike))
        unlike.next_group()
    return [[group[place][number] for number in range(own.answers) for group in groups][:settings.answers]
            for place in range(len(groups[0]))]


def check(facts: Facts, settings: Generation) -> None:
    """Refuse settings that do not go together, and families whose states of the past change; raises UserError (78)."""
    if not settings.sample and settings.beams < settings.answers and not settings.contrast:
        raise UserError(f"generation.answers is {settings.answers}, but the likeliest text is one"
                        + (f" (of {settings.beams} beams)" if settings.beams > 1 else "") + ".",
                        fix="Pass --sample, or as many generation.beams.", exit=Exit.SETTINGS)
    if settings.beam_groups > 1 and (settings.sample or settings.beams % settings.beam_groups):
        raise UserError(f"generation.beam_groups is {settings.beam_groups}, "
                        + ("but with --sample no beams are followed by groups." if settings.sample else
                           f"but {settings.beams} beams cannot be parted into so many groups of like size."),
                        fix=f"For example --beams {2 * settings.beam_groups}, without --sample.", exit=Exit.SETTINGS)
    if not settings.contrast:
        return
    if settings.sample or settings.beams > 1 or settings.answers > 1:
        raise UserError("Contrastive search (generation.contrast) writes one text by one way; --sample, beams and several answers do not "
                        "go with it.", fix="Leave them out (generation.beams=1), or generation.contrast.", exit=Exit.SETTINGS)
    if facts.family not in KEEPS:
        raise UserError(f"{facts.reference} ({facts.family}) cannot be searched contrastively: headstart knows it of {', '.join(KEEPS)}.",
                        fix="Leave generation.contrast out.", exit=Exit.SETTINGS)


class Contrastive:
    """Contrastive search as a way to write for the library's generate (Su et al. 2022, A Contrastive Framework, eq. 5).

    Of the `count` likeliest tokens v that is chosen for which (1 - weight) · p(v) - weight · max cos(state of v, state of a token
    before) is highest. `generate` is told of `count` beams, so that each token has a row, and hands its work over.
    """

    def __init__(self, weight: float, count: int, streamer: Any = None) -> None:
        self.weight, self.count, self.streamer = weight, count, streamer

    def __call__(self, module: Any, input_ids: Tensor, logits_processor: Any, stopping_criteria: Any, generation_config: Any,
                 **given: Any) -> Tensor:
        """Ids (P·K, S), the rows of a prompt alike -> ids with the text, (P, S + new)."""
        given.pop("synced_gpus", None)
        ids, rows = input_ids, torch.arange(0, len(input_ids), self.count, device=input_ids.device)
        ends = torch.tensor(generation_config.eos_token_id or [], device=ids.device)
        logits, states, given = self.step(module, ids, given, first=True)
        mask = given.get("attention_mask") if not module.config.is_encoder_decoder else None
        real = torch.ones_like(ids) if mask is None else mask[:, :ids.shape[1]]  # padding before a prompt is like nothing
        open_ = torch.ones(len(rows), dtype=torch.bool, device=ids.device)
        if self.streamer is not None:
            self.streamer.put(ids[:1].cpu())
        while bool(open_.any()):
            chances = logits_processor(ids, logits).index_select(0, rows).softmax(-1)  # (P, V)
            top = chances.topk(self.count, dim=-1)
            tokens = top.indices.reshape(-1, 1)  # (P·K, 1)
            logits, new, given = self.step(module, torch.cat([ids, tokens], dim=1), given)
            likeness = torch.nn.functional.cosine_similarity(states, new, dim=-1).masked_fill(real == 0, -1.0).amax(dim=1)  # (P·K,)
            gained = (1 - self.weight) * top.values - self.weight * likeness.view(-1, self.count)
            best = gained.masked_fill(top.values == 0, float("-inf")).argmax(dim=1)  # (P,); what a rule forbids is none of them
            taken = torch.where(open_, tokens.view(-1, self.count).gather(1, best[:, None])[:, 0], generation_config._pad_token_tensor)
            if self.streamer is not None:
                self.streamer.put(taken.cpu())
            places = (rows + best).repeat_interleave(self.count)
            given, logits = self.followed(module, given, places), logits.index_select(0, places)
            states = torch.cat([states, new.index_select(0, places)], dim=1)
            ids = torch.cat([ids, taken.repeat_interleave(self.count)[:, None]], dim=1)
            real = torch.cat([real, torch.ones_like(real[:, :1])], dim=1)
            stopped = stopping_criteria(ids, None).index_select(0, rows) | torch.isin(taken, ends)
            open_ = open_ & ~stopped
        if self.streamer is not None:
            self.streamer.end()
        return ids.index_select(0, rows)

    def step(self, module: Any, ids: Tensor, given: dict[str, Any], *, first: bool = False) -> tuple[Tensor, Tensor, dict[str, Any]]:
        """The scores after the last token, (P·K, V); the last layer's states, of all tokens at first, of the new one then, (P·K, S, W)."""
        length = None if first or not given.get("use_cache") else 1
        inputs = module.prepare_inputs_for_generation(ids, next_sequence_length=length, **given)
        output = module(**inputs, return_dict=True, output_hidden_states=True)
        held = (output.decoder_hidden_states if module.config.is_encoder_decoder else output.hidden_states)[-1]
        given = module._update_model_kwargs_for_generation(output, given, is_encoder_decoder=module.config.is_encoder_decoder)
        return output.logits[:, -1].float(), held if first else held[:, -1:], given

    def followed(self, module: Any, given: dict[str, Any], places: Tensor) -> dict[str, Any]:
        """What the model keeps of the rows (P·K,) that go on."""
        key = cache_key(given)
        if key is not None and given[key] is not None:
            if hasattr(module, "_reorder_cache"):
                given[key] = module._reorder_cache(given[key], places)
            else:
                given[key].reorder_cache(places)
        return given


def candidates(model: Model, settings: Generation) -> int:
    """How many likeliest tokens contrastive search weighs: all where there are no more."""
    config = model.module.config
    return int(min(settings.top_k or CANDIDATES, (getattr(config, "decoder", None) or config).vocab_size))


def ways(model: Model, settings: Generation) -> int:
    """How many rows go through the model for each prompt."""
    return max(settings.beams, settings.answers, candidates(model, settings) if settings.contrast else 1)


def searching(model: Model, settings: Generation, streamer: Any = None) -> dict[str, Any]:
    """What the library's generate is told beside its config to search contrastively."""
    return {"custom_generate": Contrastive(settings.contrast, candidates(model, settings), streamer)}
