"""Text that a model writes on after a prompt.

P prompts, S tokens of the longest prompt, V pieces of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Feature, Layout, Target
from headstart.data.batches import collate
from headstart.errors import Exit, UserError
from headstart.settings import Generation

if TYPE_CHECKING:
    import torch

    from headstart.models.facts import Facts
    from headstart.models.model import Model

WRITES = "causal-language-model"


@dataclass(frozen=True)
class Written:
    """What was written after one prompt: its tokens, -log p of each under the model as it is, and why it ended.

    `ended` is "end" (the end token came), "stop" (a stop string came, and is not part of the text) or "length". `cut` is how
    many tokens of the prompt's beginning did not fit.
    """

    text: str
    ids: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    ended: str
    cut: int = 0


def refuse_unfit(facts: Facts) -> None:
    """Refuse a family that cannot write, before its weights are read; raises UserError (2)."""
    from headstart.models.catalogue import CATALOGUE

    if WRITES not in facts.row.heads:
        able = ", ".join(row.family for row in CATALOGUE if WRITES in row.heads)
        raise UserError(f"{facts.reference} ({facts.family}) cannot write: it sees both sides of every token.",
                        fix=f"Choose a model of: {able}; for hidden words use headstart predict with a masked language model.")


def generate(model: Model, prompts: Sequence[str], settings: Generation, *, seed: int, stop: Sequence[str] = (),
             stream: Callable[[str], None] | None = None) -> list[list[Written]]:
    """The texts written after each prompt, `settings.answers` of them; the same seed writes the same.

    Raises UserError (2, 78) for a model that cannot write, and for settings that do not go together.
    """
    import torch

    check(model, settings)
    model.module.eval()
    laid = [lay_out(model, prompt, settings) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda place: len(laid[place][0]))
    found: list[list[Written]] = [[] for _ in prompts]
    for begin in range(0, len(order), settings.at_once):
        places = order[begin:begin + settings.at_once]
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            torch.manual_seed(seed * 1_000_003 + begin)
            rows = write(model, [laid[place][0] for place in places], settings, stop, stream)
            for place, texts in zip(places, rows, strict=True):
                ids, cut = laid[place]
                found[place] = [finished(model, ids, new, stop, cut) for new in texts]
    return found


def check(model: Model, settings: Generation) -> None:
    """Refuse what cannot be; raises UserError."""
    if model.head != WRITES:
        raise UserError(f"{model.facts.reference} has a {model.head} head; it does not write.", fix="Choose a language model.")
    if not settings.sample and settings.beams < settings.answers:
        raise UserError(f"generation.answers is {settings.answers}, but the likeliest text is one"
                        + (f" (of {settings.beams} beams)" if settings.beams > 1 else "") + ".",
                        fix="Pass --sample, or as many generation.beams.", exit=Exit.SETTINGS)


def lay_out(model: Model, prompt: str, settings: Generation) -> tuple[list[int], int]:
    """A prompt as ids, its beginning cut where the model could not write on, and how many tokens were cut."""
    tokenizer = model.tokenizer
    text = tokenizer.as_prompt(prompt, chat=True) if settings.chat and tokenizer.held.chat_template else prompt
    if settings.chat and not tokenizer.held.chat_template:
        raise UserError(f"The tokenizer of {model.facts.reference} has no chat template.", fix="Leave --chat out.", exit=Exit.SETTINGS)
    ids = list(tokenizer.tokenize(text).ids)
    before = [token for token, _ in tokenizer.single[0]]  # what this family begins every text with
    if ids[:len(before)] != before:  # a chat template has it already
        ids = [*before, *ids]
    if not ids:
        if tokenizer.start_id is None:
            raise UserError("The prompt is empty, and this model has no token to begin a text with.", fix="Give a prompt.")
        ids = [tokenizer.start_id]
    room = max(1, tokenizer.longest - max(1, settings.new_tokens))
    return ids[-room:], max(0, len(ids) - room)


def write(model: Model, prompts: Sequence[Sequence[int]], settings: Generation, stop: Sequence[str],
          stream: Callable[[str], None] | None) -> list[list[list[int]]]:
    """The new ids after each prompt of a batch, padded on the left."""
    import torch

    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), model.tokenizer.pad_id)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt):] = torch.tensor(prompt)
        mask[row, longest - len(prompt):] = 1
    new = model.tokenizer.longest - longest if settings.new_tokens == -1 else settings.new_tokens
    if new <= 0:
        return [[[]] * settings.answers for _ in prompts]
    more: dict[str, Any] = {"streamer": Stream(model, stream)} if stream is not None and len(prompts) == settings.beams == 1 else {}
    if stop:
        more |= {"stop_strings": list(stop), "tokenizer": model.tokenizer.held}
    made: torch.Tensor = model.module.generate(
        input_ids=ids.to(model.device), attention_mask=mask.to(model.device), generation_config=config(model, settings, new), **more)
    rows = made[:, longest:].tolist()
    return [rows[place:place + settings.answers] for place in range(0, len(rows), settings.answers)]


def config(model: Model, settings: Generation, new: int) -> Any:
    """Our settings in the library's words."""
    from transformers import GenerationConfig

    drawing: dict[str, Any] = {"temperature": settings.temperature, "top_k": settings.top_k, "top_p": settings.top_p,
                               "typical_p": settings.typical_p, "min_p": settings.min_p or None} if settings.sample else {}
    beams: dict[str, Any] = {"length_penalty": settings.length_penalty, "early_stopping": False} if settings.beams > 1 else {}
    made: Any = GenerationConfig
    return made(
        max_new_tokens=new, min_new_tokens=min(settings.least_tokens, new) or None, do_sample=settings.sample, num_beams=settings.beams,
        num_return_sequences=settings.answers, repetition_penalty=settings.repetition_penalty,
        no_repeat_ngram_size=settings.no_repeat_ngram, pad_token_id=model.tokenizer.pad_id, eos_token_id=ends(model) or None,
        bos_token_id=model.tokenizer.start_id, use_cache=True, **drawing, **beams)


def ends(model: Model) -> list[int]:
    """Every token that ends a text: the tokenizer's, and those that the published generation config names."""
    held = getattr(model.module, "generation_config", None)
    own = getattr(held, "eos_token_id", None)
    found = [] if own is None else own if isinstance(own, list) else [own]
    return sorted({*found, *([model.tokenizer.end_id] if model.tokenizer.end_id is not None else [])})


def finished(model: Model, prompt: Sequence[int], new: Sequence[int], stop: Sequence[str], cut: int) -> Written:
    """New ids as text: without what follows the end token, cut exactly before the first stop string."""
    last = set(ends(model))
    length = next((place for place, token in enumerate(new) if token in last), len(new))
    ended = "end" if length < len(new) else "length"
    ids = list(new[:length])
    text: str = model.tokenizer.held.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    places = [text.find(word) for word in stop if word in text]
    if places:
        text, ended = text[:min(places)], "stop"
    return Written(text, tuple(ids), tuple(log_probabilities(model, prompt, ids)), ended, cut)


def log_probabilities(model: Model, prompt: Sequence[int], new: Sequence[int]) -> list[float]:
    """log p of each new token under the model as it is, without temperature or penalties."""
    if not new:
        return []
    ids = [*prompt, *new]
    asks = list(range(len(prompt) - 1, len(ids) - 1))
    batch = collate([Feature(ids, [0] * len(ids), {"label": Target(list(new), "asked")}, asks=asks)], Layout(packed=model.can_pack))
    found: list[float] = (-model.surprises(batch)["surprise"]).tolist()
    return found


class Stream:
    """Hands text on as it is written, whole characters at a time."""

    def __init__(self, model: Model, hear: Callable[[str], None]) -> None:
        self.model, self.hear = model, hear
        self.ids: list[int] = []
        self.said, self.prompt = "", True

    def put(self, ids: Any) -> None:
        """The prompt first, then each new token."""
        if self.prompt:
            self.prompt = False
            return
        self.ids += ids.reshape(-1).tolist()
        self.tell(whole=False)

    def end(self) -> None:
        """Nothing more comes."""
        self.tell(whole=True)

    def tell(self, *, whole: bool) -> None:
        """What was not yet said; half a character waits for its other half unless none comes."""
        text = self.model.tokenizer.held.decode(self.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if (whole or not text.endswith("\ufffd")) and text.startswith(self.said):
            self.hear(text[len(self.said):])
            self.said = text
