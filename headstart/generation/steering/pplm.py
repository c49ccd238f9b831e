"""Text steered towards an attribute by moving the cached keys and values (PPLM, Dathathri et al. 2020).

For each token the cache of all tokens before it moves a few times down the gradient of the attribute's loss; the next
token is drawn from the geometric mean of the steered and the unsteered distribution. The model's weights stay.
S tokens so far, V pieces, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headstart.errors import Exit, UserError
from headstart.generation.generate import Written, check, ends, finished, lay_out
from headstart.generation.steering.attributes import AttributeHead, Bag
from headstart.models.loading.cache_name import with_cache
from headstart.settings import Generation, Steering

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.models.model import Model

FAMILIES = ("gpt2", "llama")  # whose caches were tried; others keep none, or another kind
PLAIN = {"beams": 1, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0, "no_repeat_ngram": 0, "least_tokens": 0,
         "beam_groups": 1, "contrast": 0.0}
SMALL = 1e-15
Cache = list[tuple[Any, Any]]  # keys and values of each layer, (1, heads, S, width of one)


@dataclass
class Writer:
    """One text as it is written: its tokens, the steered cache, the unsteered one, the sum of unsteered states."""

    model: Model
    steering: Steering
    attributes: Sequence[Bag | AttributeHead]
    ids: list[int]
    cache: Cache = field(default_factory=list)
    plain: Cache = field(default_factory=list)
    total: Any = None  # (W,)
    norms: list[float] = field(default_factory=list)
    written: int = 0


def generate(model: Model, prompts: Sequence[str], settings: Generation, steering: Steering, attributes: Sequence[Bag | AttributeHead],
             *, seed: int, stop: Sequence[str] = ()) -> list[list[tuple[Written, Written]]]:
    """For each prompt, `settings.answers` pairs of an unsteered and a steered text; both draw by the same seed.

    Raises UserError (2, 78) for a family whose cache is not known, and for settings that do not go together.
    """
    refuse(model, prompts, settings)
    model.module.eval()
    found = []
    for number, prompt in enumerate([""] if steering.uncond else prompts):
        ids, cut = lay_out(model, prompt, settings)
        pairs = []
        for answer in range(settings.answers):
            own = (seed * 1_000_003 + number) * 1_009 + answer
            texts = [write(model, ids, settings, steering, held, own) for held in ((), attributes)]
            pairs.append((finished(model, ids, texts[0], None, stop, cut), finished(model, ids, texts[1], None, stop, cut)))
        found.append(pairs)
    return found


def refuse(model: Model, prompts: Sequence[str], settings: Generation) -> None:
    """Refuse what cannot be; raises UserError (2, 78)."""
    check(model, prompts, settings)
    if model.facts.family not in FAMILIES:
        raise UserError(f"Steering moves cached keys and values; it is there for {' and '.join(FAMILIES)}, not for {model.facts.family}.",
                        fix="Choose another model, or leave --steer out.")
    for name, value in PLAIN.items():
        if getattr(settings, name) != value:
            fix = "steering.top_k says among how many tokens is drawn." if name == "top_k" else f"Leave generation.{name} out."
            raise UserError(f"generation.{name} does not go with steering.", fix=fix, exit=Exit.SETTINGS)


def write(model: Model, prompt: Sequence[int], settings: Generation, steering: Steering, attributes: Sequence[Bag | AttributeHead],
          seed: int) -> list[int]:
    """The new ids after a prompt; without attributes, unsteered by the same way."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    writer, last = Writer(model, steering, attributes, list(prompt)), set(ends(model))
    room = model.tokenizer.longest - len(prompt)
    frozen = [weight for weight in model.module.parameters() if weight.requires_grad]
    for weight in frozen:
        weight.requires_grad_(False)  # gradients are of the cache alone
    try:
        for _ in range(room if settings.new_tokens == -1 else min(settings.new_tokens, room)):
            chosen = pick(distribution(writer, settings), settings.sample or steering.sample, steering.top_k, generator)
            writer.ids.append(chosen)
            writer.written += 1
            if chosen in last:
                break
    finally:
        for weight in frozen:
            weight.requires_grad_(True)
    return writer.ids[len(prompt):]


def pick(shares: Tensor, sample: bool, top_k: int, generator: Any) -> int:
    """A token of the distribution (V,): the likeliest, or one drawn among the `top_k` likeliest."""
    import torch

    if not sample:
        return int(shares.argmax())
    values, places = shares.cpu().sort(descending=True, stable=True)
    count = top_k or len(values)
    return int(places[torch.multinomial(values[:count], 1, generator=generator)])


def distribution(writer: Writer, settings: Generation) -> Tensor:
    """The next token's distribution (V,), steered where there are attributes; the caches grow by the last token."""
    import torch

    model, steering = writer.model, writer.steering
    fed = writer.ids[cached(writer.plain):]
    with torch.no_grad():
        states, writer.plain = forward(model, fed, writer.plain)
        writer.total = states[:-1].sum(0) + (0 if writer.total is None else writer.total)
        plain = probabilities(model, states[-1], writer.ids, settings)
    if not writer.attributes:
        writer.total = writer.total + states[-1]
        return plain
    if not writer.cache:  # the prompt but its last token; what was steered before stays steered
        writer.cache = [(keys[:, :, :-1], values[:, :, :-1]) for keys, values in writer.plain]
    moved = writer.cache
    if cached(moved) and steering.num_iterations and steering.stepsize and writer.written < steering.grad_length:
        moved = steered(writer, model.apply_head(states[-1:])[0].float().softmax(-1))
    with torch.no_grad():
        own, writer.cache = forward(model, writer.ids[-1:], moved)
        writer.total = writer.total + states[-1]
        mixed = probabilities(model, own[-1], writer.ids, settings) ** steering.gm_scale * plain ** (1 - steering.gm_scale)
        return mixed / mixed.sum()


def cached(cache: Cache) -> int:
    """How many tokens a cache holds."""
    return int(cache[0][0].shape[2]) if cache else 0


def forward(model: Model, ids: Sequence[int] | None, cache: Cache, *, embedded: Tensor | None = None) -> tuple[Tensor, Cache]:
    """States of further tokens, (S, W), and the cache grown by them; the tokens as ids or as embeddings (1, S, W)."""
    import torch
    from transformers import DynamicCache

    held: Any = DynamicCache()
    for layer, (keys, values) in enumerate(cache):
        held.update(keys, values, layer)
    given = {"inputs_embeds": embedded} if embedded is not None else {"input_ids": torch.tensor([list(ids or ())], device=model.device)}
    states = model.module.base_model(**given, **with_cache(held), use_cache=True)[0][0]
    return states, [(layer.keys, layer.values) for layer in held.layers]


def probabilities(model: Model, state: Tensor, ids: Sequence[int], settings: Generation) -> Tensor:
    """The distribution after a state (W,) -> (V,), with temperature and repetition penalty."""
    import torch

    logits = model.apply_head(state[None])[0].float()
    if settings.repetition_penalty != 1.0:
        places = torch.tensor(sorted(set(ids)), device=logits.device)
        held = logits[places]
        logits[places] = torch.where(held > 0, held / settings.repetition_penalty, held * settings.repetition_penalty)
    return (logits / settings.temperature).softmax(-1)


def steered(writer: Writer, plain: Tensor) -> Cache:
    """The cache, moved `num_iterations` times down the gradient (section 3.2 of the paper)."""
    import torch

    steering, flat = writer.steering, [part for pair in writer.cache for part in pair]
    window = mask(cached(writer.cache), steering, flat[0])
    shifts = [torch.zeros_like(part) for part in flat]
    bags_alone = all(isinstance(one, Bag) for one in writer.attributes)
    for _ in range(steering.num_iterations):
        leaves = [shift.detach().requires_grad_(True) for shift in shifts]
        parts = [part + leaf for part, leaf in zip(flat, leaves, strict=True)]
        gradients = torch.autograd.grad(loss(writer, list(zip(parts[::2], parts[1::2], strict=True)), plain), leaves)
        norms = [float((gradient * window).norm()) + SMALL for gradient in gradients]
        if bags_alone and writer.norms:  # the largest so far, so that a bag that is there already pulls less
            norms = [max(pair) for pair in zip(norms, writer.norms, strict=True)]
        writer.norms = norms
        shifts = [leaf.detach() - steering.stepsize * gradient * window / norm ** steering.gamma
                  for leaf, gradient, norm in zip(leaves, gradients, norms, strict=True)]
    moved = [part + shift for part, shift in zip(flat, shifts, strict=True)]
    return list(zip(moved[::2], moved[1::2], strict=True))


def mask(length: int, steering: Steering, like: Tensor) -> Tensor:
    """How much each cached token moves, (S, 1): all, or those of the window, earlier ones less with decay."""
    import torch

    window = steering.window_length
    if not 0 < window < length:
        return torch.ones(length, 1, device=like.device)
    found = torch.zeros(length, 1, device=like.device)
    found[-window:, 0] = torch.arange(1, window + 1, device=like.device) / window if steering.decay else 1.0
    return found


def loss(writer: Writer, cache: Cache, plain: Tensor) -> Tensor:
    """How far the next token and what may follow are from the attributes, and from the unsteered distribution."""
    import torch

    model, steering = writer.model, writer.steering
    states, grown = forward(model, writer.ids[-1:], cache)
    shares = model.apply_head(states[-1:])[0].float().softmax(-1)
    total = torch.zeros((), device=shares.device)
    for one in writer.attributes:
        if isinstance(one, Bag):
            total = total - (shares[torch.tensor(one.ids, device=shares.device)].sum() + SMALL).log()
    heads = [one for one in writer.attributes if isinstance(one, AttributeHead)]
    if heads:
        summed, following, ahead = writer.total + states[-1], shares, grown
        table = model.module.get_input_embeddings().weight
        for _ in range(steering.horizon_length):  # the mean embedding of what may come
            next_states, ahead = forward(model, None, ahead, embedded=(following.to(table.dtype) @ table)[None, None])
            summed, following = summed + next_states[-1], model.apply_head(next_states[-1:])[0].float().softmax(-1)
        means = (summed / (len(writer.ids) + steering.horizon_length))[None]
        for head in heads:
            total = total + torch.nn.functional.cross_entropy(head.logits(means), torch.tensor([head.wanted], device=means.device))
    if steering.kl_scale:
        total = total + steering.kl_scale * (shares * ((shares + SMALL).log() - (plain + SMALL).log())).sum()
    return total
