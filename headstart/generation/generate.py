"""Text that a model writes on after a prompt.

P prompts, S tokens of the longest prompt, V pieces of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Feature, Layout, Target
from headstart.data.features.batches import collate
from headstart.errors import Exit, UserError
from headstart.generation import decoding_strategies, family_inputs
from headstart.generation.log_probabilities import Collected, Stopped
from headstart.generation.logits_processors import Afresh, without_rules
from headstart.generation.memory import check_room
from headstart.models.loading.load import longest_of
from headstart.models.loading.weights import quiet
from headstart.settings import Generation

TAIL = 16  # tokens of a prompt beside which the text is decoded

if TYPE_CHECKING:
    import torch

    from headstart.models.model import Model



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


def generate(model: Model, prompts: Sequence[str], settings: Generation, *, seed: int, stop: Sequence[str] = (),
             stream: Callable[[str], None] | None = None) -> list[list[Written]]:
    """The texts written after each prompt, `settings.answers` of them; the same seed writes the same.

    Raises UserError (2, 78) for a model that cannot write, and for settings that do not go together.
    """
    check(model, prompts, settings)
    return go_on(model, [lay_out(model, prompt, settings) for prompt in prompts], settings, seed=seed, stop=stop, stream=stream)


def go_on(model: Model, laid: Sequence[tuple[Sequence[int], int]], settings: Generation, *, seed: int, stop: Sequence[str] = (),
          stream: Callable[[str], None] | None = None, afresh: bool = False) -> list[list[Written]]:
    """The same after prompts that are laid out already: their ids, and how many tokens of each were cut.

    With `afresh` a prompt's own words may be said again, whatever the rules against repeating.
    """
    import torch

    model.module.eval()
    order = sorted(range(len(laid)), key=lambda place: len(laid[place][0]))
    found: list[list[Written]] = [[] for _ in laid]
    begin = 0
    while begin < len(order):
        places = [place for place in order[begin:begin + settings.at_once]
                  if model.facts.row.ragged or len(laid[place][0]) == len(laid[order[begin]][0])]
        with torch.random.fork_rng(devices=[]), torch.inference_mode(), quiet(), family_inputs.habitual(model, settings):
            torch.manual_seed(seed * 1_000_003 + begin)
            rows = write(model, [laid[place][0] for place in places], settings, stop, stream, afresh=afresh)
            for place, texts in zip(places, rows, strict=True):
                ids, cut = laid[place]
                found[place] = [finished(model, ids, new, logs, stop, cut) for new, logs in texts]
        begin += len(places)
    return found


def check(model: Model, prompts: Sequence[str], settings: Generation) -> None:
    """Refuse what cannot be; raises UserError."""
    if not family_inputs.can_write(model.facts, model.head):
        raise UserError(f"{model.facts.reference} has a {model.head} head; it does not write.", fix="Choose a language model.")
    decoding_strategies.check(model.facts, settings)
    family_inputs.refuse_prompts(model.facts, prompts, settings, model.tokenizer.held.get_vocab() if model.facts.row.codes else None)
    if bounded(model) and settings.new_tokens >= longest(model):
        raise UserError(f"generation.new_tokens is {settings.new_tokens:,}, but {model.facts.reference} takes {longest(model):,} tokens in "
                        "all, the prompt included.", fix=f"Ask for fewer than {longest(model):,}, or for -1: as many as fit.",
                        exit=Exit.SETTINGS)


def bounded(model: Model) -> bool:
    """Whether the model has so many positions and no more."""
    return "positions" in model.facts.row.names


def longest(model: Model) -> int:
    """The most tokens of prompt and text together, however few the model was trained on."""
    return longest_of(model.facts, model.tokenizer, model.module.config)


def lay_out(model: Model, prompt: str, settings: Generation) -> tuple[list[int], int]:
    """A prompt as ids, its beginning cut where the model could not write on, and how many tokens were cut."""
    tokenizer, prompt = model.tokenizer, family_inputs.opened(model, prompt, settings)
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
    room = max(1, longest(model) - max(1, settings.new_tokens))
    if not bounded(model) and settings.new_tokens != -1:
        return [*family_inputs.before(model, settings), *ids], 0
    left = room - len(ids)
    passage = family_inputs.before(model, settings)[-left:] if left > 0 else []  # it gives way to the prompt
    return [*passage, *ids[-room:]], max(0, -left)


def write(model: Model, prompts: Sequence[Sequence[int]], settings: Generation, stop: Sequence[str],
          stream: Callable[[str], None] | None, *, afresh: bool = False,
          apart: decoding_strategies.Unlike | None = None) -> list[list[tuple[list[int], list[float] | None]]]:
    """The new ids after each prompt of a batch, padded on the left, with log p of each where they came one by one.

    `apart` is what groups of beams before this one took.
    """
    import torch

    if settings.beam_groups > 1:
        beams = settings.beams // settings.beam_groups
        groups = decoding_strategies.Unlike(len(prompts), beams, max(map(len, prompts)), settings.diversity, ends(model))
        return decoding_strategies.in_groups(settings, groups, lambda own, held: write(model, prompts, own, stop, None, afresh=afresh, apart=held))
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), model.tokenizer.pad_id)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt):] = torch.tensor(prompt)
        mask[row, width - len(prompt):] = 1
    room = longest(model) - width
    new = room if settings.new_tokens == -1 else min(settings.new_tokens, room) if bounded(model) else settings.new_tokens
    if new <= 0:
        return [[([], [])] * settings.answers for _ in prompts]
    check_room(model, rows=len(prompts) * decoding_strategies.ways(model, settings), tokens=width + new)
    more: dict[str, Any] = {}
    if stream is not None and len(prompts) == settings.beams == 1:
        more["streamer"] = Stream(model, stream, prompts[0])
    if settings.contrast:
        more |= decoding_strategies.searching(model, settings, more.pop("streamer", None))
    if stop:
        more["stopping_criteria"] = [Stopped(lambda prompt, new: said(model, prompt, new), prompts, stop)]
    if apart is not None:
        more["stopping_criteria"] = [*more.get("stopping_criteria", []), apart.listen]
    chosen = without_rules(settings) if afresh else settings
    rules: list[Any] = [Afresh(settings, width)] if afresh and chosen != settings else []
    rules += [] if apart is None else [apart.rule]
    one_by_one = settings.beams == 1 and not settings.contrast
    with Collected(model.module) as seen:
        made: torch.Tensor = model.module.generate(
            input_ids=ids.to(model.device), attention_mask=mask.to(model.device), generation_config=config(model, chosen, new),
            logits_processor=[*([seen] if one_by_one else []), *rules], **more)
    logs: Sequence[list[float] | None] = seen.rows(made[:, -1]) if one_by_one else [None] * len(made)
    rows = list(zip(made[:, width:].tolist(), logs, strict=True))
    return [rows[place:place + settings.answers] for place in range(0, len(rows), settings.answers)]


def config(model: Model, settings: Generation, new: int) -> Any:
    """Our settings in the library's words."""
    from transformers import GenerationConfig

    drawing: dict[str, Any] = {"temperature": settings.temperature, "top_k": settings.top_k, "top_p": settings.top_p,
                               "typical_p": settings.typical_p, "min_p": settings.min_p or None} if settings.sample else {}
    beams: dict[str, Any] = {"length_penalty": settings.length_penalty, "early_stopping": False} if settings.beams > 1 else {}
    made: Any = GenerationConfig
    return made(
        max_new_tokens=new, min_new_tokens=min(settings.least_tokens, new) or None, do_sample=settings.sample,
        num_beams=decoding_strategies.candidates(model, settings) if settings.contrast else settings.beams,
        num_return_sequences=settings.answers, repetition_penalty=settings.repetition_penalty,
        no_repeat_ngram_size=settings.no_repeat_ngram, pad_token_id=model.tokenizer.pad_id, eos_token_id=ends(model) or None,
        bos_token_id=model.tokenizer.start_id, use_cache=True, **drawing, **beams)


def ends(model: Model) -> list[int]:
    """Every token that ends a text: the tokenizer's, and those that the published generation config names."""
    held = getattr(model.module, "generation_config", None)
    own = getattr(held, "eos_token_id", None)
    found = [] if own is None else own if isinstance(own, list) else [own]
    return sorted({*found, *([model.tokenizer.end_id] if model.tokenizer.end_id is not None else [])})


def finished(model: Model, prompt: Sequence[int], new: Sequence[int], logs: Sequence[float] | None, stop: Sequence[str],
             cut: int) -> Written:
    """New ids as text: without what follows the end token, cut exactly before the first stop string."""
    last = set(ends(model))
    length = next((place for place, token in enumerate(new) if token in last), len(new))
    ended = "end" if length < len(new) else "length"
    ids = list(new[:length])
    text = said(model, prompt, ids)
    places = [text.find(word) for word in stop if word in text]
    if places:
        text, ended = text[:min(places)], "stop"
        ids = ids[:next(count for count in range(len(ids) + 1) if len(said(model, prompt, ids[:count])) >= len(text))]
        length = len(ids)
    values = log_probabilities(model, prompt, ids) if logs is None else logs[:length]
    return Written(text, tuple(ids), tuple(values), ended, cut)


def said(model: Model, prompt: Sequence[int], new: Sequence[int]) -> str:
    """New ids as the text that goes on after the prompt, with the blank between them where there is one."""
    def text(ids: Sequence[int]) -> str:
        found: str = model.tokenizer.held.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return found

    start = text(prompt[-TAIL:])
    whole = text([*prompt[-TAIL:], *new])
    return whole[len(start):] if whole.startswith(start) and not start.endswith("\ufffd") else text(new)


def log_probabilities(model: Model, prompt: Sequence[int], new: Sequence[int]) -> list[float]:
    """log p of each new token under the model as it is, without temperature or penalties."""
    if not new:
        return []
    ids = [*prompt, *new]
    asks = list(range(len(prompt) - 1, len(ids) - 1))
    batch = collate([Feature(ids, [0] * len(ids), {"label": Target(list(new), "asked")}, asks=asks)], Layout(packed=model.can_pack))
    if model.facts.row.heads[model.head].by_mask or model.facts.family == "xlnet":
        return read_anew(model, prompt, new)
    found: list[float] = (-model.surprises(batch)["surprise"]).tolist()
    return found


def read_anew(model: Model, prompt: Sequence[int], new: Sequence[int]) -> list[float]:
    """The same of a model whose every step reads all over again."""
    import torch

    found = []
    for place, token in enumerate(new):
        ids = torch.tensor([[*prompt, *new[:place]]], device=model.device)
        scores = model.module(**model.module.prepare_inputs_for_generation(ids)).logits[0, -1]
        found.append(float(scores.float().log_softmax(-1)[token]))
    return found


class Stream:
    """Hands text on as it is written, whole characters at a time."""

    def __init__(self, model: Model, hear: Callable[[str], None], before: Sequence[int]) -> None:
        self.model, self.hear, self.before = model, hear, before
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
        """What was not yet said; half a character, and all after it, waits: with what follows it may read otherwise."""
        text = said(self.model, self.before, self.ids)
        if not whole:
            text = text.partition("\ufffd")[0]
        if text.startswith(self.said) and text != self.said:
            self.hear(text[len(self.said):])
            self.said = text
