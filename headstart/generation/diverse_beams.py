"""Diverse beam search: groups of beams, each kept away from the tokens that earlier groups took at the same step.

P prompts, K beams of a prompt, S tokens so far, V pieces of the vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from headstart.settings import Generation

Text = TypeVar("Text")


class HammingDiversity:
    """Makes the tokens of earlier groups less likely, step by step, and records those of the current group.

    Scores of a token lose `diversity_penalty` for each beam of an earlier group that took it at the same step
    (Vijayakumar et al. 2016, Diverse Beam Search, eq. 4 with the Hamming distance). A group depends on those before it
    alone, so groups can be
    generated one after the other.
    """

    def __init__(self, prompts: int, num_beams: int, width: int, diversity_penalty: float,
                 end_ids: Collection[int]) -> None:
        self.prompts, self.num_beams, self.width = prompts, num_beams, width
        self.diversity_penalty, self.end_ids = diversity_penalty, set(end_ids)
        self.earlier_counts: list[list[Counter[int]]] = []  # by step and prompt: the tokens of earlier groups
        self.group_counts: list[list[Counter[int]]] = []  # the same of the current group

    def next_group(self) -> None:
        """Count the current group among the earlier ones, and begin another."""
        for step, counts in enumerate(self.group_counts):
            if step == len(self.earlier_counts):
                self.earlier_counts.append([Counter() for _ in range(self.prompts)])
            self.earlier_counts[step] = [earlier + current
                                         for earlier, current in zip(self.earlier_counts[step], counts, strict=True)]
        self.group_counts = []

    def penalize(self, ids: Tensor, scores: Tensor) -> Tensor:
        """A logits processor: the scores of a step, (P·K, V), after ids (P·K, S)."""
        step = ids.shape[1] - self.width
        if step >= len(self.earlier_counts):
            return scores
        penalized = scores.clone()
        for row in range(len(scores)):
            for token, count in self.earlier_counts[step][row * self.prompts // len(scores)].items():
                penalized[row, token] -= self.diversity_penalty * count
        return penalized

    def record(self, ids: Tensor, scores: Any, **_: Any) -> Tensor:
        """A stopping criterion that stops nothing: it sees the continuations of a step, likeliest first.

        The first of them that do not end the text are the group's beams.
        """
        rows_per_prompt = len(ids) // self.prompts
        last_tokens = ids[:, -1].tolist()
        self.group_counts.append([
            Counter([token for token in last_tokens[prompt * rows_per_prompt:(prompt + 1) * rows_per_prompt]
                     if token not in self.end_ids][:self.num_beams]) for prompt in range(self.prompts)])
        return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)


def search_groups(settings: Generation, diversity: HammingDiversity,
                  search: Callable[[Generation, HammingDiversity], list[list[Text]]]) -> list[list[Text]]:
    """The texts of each prompt, the best of each group in turn; `search` generates the texts of one group."""
    groups = []
    group_settings = dataclasses.replace(settings, num_beams=settings.num_beams // settings.num_beam_groups,
                                         num_beam_groups=1,
                                         num_return_sequences=-(-settings.num_return_sequences
                                                                // settings.num_beam_groups))
    for _ in range(settings.num_beam_groups):
        groups.append(search(group_settings, diversity))
        diversity.next_group()
    return [[group[prompt][rank] for rank in range(group_settings.num_return_sequences)
             for group in groups][:settings.num_return_sequences]
            for prompt in range(len(groups[0]))]


def check(settings: Generation) -> None:
    """Refuse numbers of texts, beams and groups that do not go together; raises UserError (78)."""
    if not settings.do_sample and settings.num_beams < settings.num_return_sequences and not settings.penalty_alpha:
        raise UserError(f"generation.num_return_sequences is {settings.num_return_sequences}, but without sampling "
                        "there is only one best text"
                        + (f" (of {settings.num_beams} beams)" if settings.num_beams > 1 else "") + ".",
                        fix="Pass --sample, or as many generation.num_beams.", exit=Exit.SETTINGS)
    if settings.num_beam_groups > 1 and (settings.do_sample or settings.num_beams % settings.num_beam_groups):
        raise UserError(f"generation.num_beam_groups is {settings.num_beam_groups}, "
                        + ("but with --sample there are no beam groups." if settings.do_sample else
                           f"but {settings.num_beams} beams cannot be divided into that many groups of equal size."),
                        fix=f"For example --num-beams {2 * settings.num_beam_groups}, without --sample.",
                        exit=Exit.SETTINGS)
