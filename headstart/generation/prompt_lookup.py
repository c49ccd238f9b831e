"""Prompt lookup: the tokens that followed the last words earlier in the text are proposed, and checked in one pass.

The text is that of greedy decoding; it comes sooner where a prompt's words are repeated (summaries, edits, code).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.errors import Exit, UserError
from headstart.models.loading.catalogue import CATALOGUE

if TYPE_CHECKING:
    from headstart.models.loading.model_info import ModelInfo
    from headstart.settings import Generation


def check(info: ModelInfo, settings: Generation) -> None:
    """Refuse settings under which proposed tokens would not be those of greedy decoding; raises UserError (78)."""
    if not settings.prompt_lookup_num_tokens:
        return
    if settings.do_sample or settings.num_beams > 1 or settings.num_return_sequences > 1 or settings.penalty_alpha:
        raise UserError("Prompt lookup (generation.prompt_lookup_num_tokens) writes the one text of greedy decoding; "
                        "--sample, beams, several texts and contrastive search do not go with it.",
                        fix="Leave them out, or generation.prompt_lookup_num_tokens.", exit=Exit.SETTINGS)
    if not info.family.prompt_lookup:
        names = ", ".join(family.name for family in CATALOGUE if family.prompt_lookup)
        raise UserError(f"There is no prompt lookup for {info.reference} ({info.family_name}): what it has read cannot "
                        f"be taken back. There is for {names}.",
                        fix="Leave generation.prompt_lookup_num_tokens out.", exit=Exit.SETTINGS)
