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
from headstart.generation.generate import GeneratedText, check_prompts, generated_text
from headstart.generation.prompts import encode_prompt, end_token_ids, stopping_at_turn_end
from headstart.generation.steering.attributes import AttributeHead, BagOfWords
from headstart.models.loading.catalogue import CATALOGUE
from headstart.models.loading.transformers_compat import with_cache
from headstart.settings import Generation, Steering

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.models.model import Model

REQUIRED_SETTINGS = {"num_beams": 1, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0,
                     "no_repeat_ngram_size": 0, "min_new_tokens": 0, "num_beam_groups": 1, "penalty_alpha": 0.0}
EPSILON = 1e-15
Cache = list[tuple[Any, Any]]  # keys and values of each layer, (1, heads, S, width of a head)


@dataclass
class SteeredGeneration:
    """One text while it is generated: its tokens, the steered cache, the unsteered one, the sum of unsteered states."""

    model: Model
    steering: Steering
    attributes: Sequence[BagOfWords | AttributeHead]
    ids: list[int]
    steered_cache: Cache = field(default_factory=list)
    unsteered_cache: Cache = field(default_factory=list)
    state_sum: Any = None  # (W,)
    max_norms: list[float] = field(default_factory=list)
    new_tokens: int = 0


def generate(model: Model, prompts: Sequence[str], settings: Generation, steering: Steering,
             attributes: Sequence[BagOfWords | AttributeHead], *, seed: int,
             stop: Sequence[str] = ()) -> list[list[tuple[GeneratedText, GeneratedText]]]:
    """For each prompt, `settings.num_return_sequences` pairs of an unsteered and a steered text, with the same seed.

    Raises UserError (2, 78) for a family whose cache is not known, and for settings that do not go together.
    """
    check_steering(model, prompts, settings)
    model = stopping_at_turn_end(model, settings.layout)
    model.module.eval()
    generations = []
    for prompt_index, prompt in enumerate([""] if steering.uncond else prompts):
        ids, cut_tokens = encode_prompt(model, prompt, settings)
        pairs = []
        for text_index in range(settings.num_return_sequences):
            text_seed = (seed * 1_000_003 + prompt_index) * 1_009 + text_index
            texts = [generate_ids(model, ids, settings, steering, text_attributes, text_seed)
                     for text_attributes in ((), attributes)]
            unsteered, steered = (generated_text(model, ids, new_ids, None, stop, cut_tokens) for new_ids in texts)
            pairs.append((unsteered, steered))
        generations.append(pairs)
    return generations


def check_steering(model: Model, prompts: Sequence[str], settings: Generation) -> None:
    """Refuse models and settings that steering does not go with; raises UserError (2, 78)."""
    check_prompts(model, prompts, settings)
    if not model.info.family.steering:  # others keep no cache, or another kind
        names = " and ".join(family.name for family in CATALOGUE if family.steering)
        raise UserError(f"Steering changes cached keys and values; it is available for {names}, not for "
                        f"{model.info.family_name}.", fix="Choose another model, or leave --steer out.")
    for name, value in REQUIRED_SETTINGS.items():
        if getattr(settings, name) != value:
            fix = ("steering.top_k is the number of tokens to sample from." if name == "top_k"
                   else f"Leave generation.{name} out.")
            raise UserError(f"generation.{name} does not go with steering.", fix=fix, exit=Exit.SETTINGS)


def generate_ids(model: Model, prompt: Sequence[int], settings: Generation, steering: Steering,
                 attributes: Sequence[BagOfWords | AttributeHead], seed: int) -> list[int]:
    """The new ids after a prompt; without attributes, unsteered."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    generation, end_ids = SteeredGeneration(model, steering, attributes, list(prompt)), set(end_token_ids(model))
    free_positions = model.tokenizer.max_length - len(prompt)
    weights = [weight for weight in model.module.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)  # gradients are of the cache alone
    try:
        for _ in range(free_positions if settings.max_new_tokens == -1
                       else min(settings.max_new_tokens, free_positions)):
            token = next_token(distribution(generation, settings), settings.do_sample or steering.do_sample,
                               steering.top_k, generator)
            generation.ids.append(token)
            generation.new_tokens += 1
            if token in end_ids:
                break
    finally:
        for weight in weights:
            weight.requires_grad_(True)
    return generation.ids[len(prompt):]


def next_token(probabilities: Tensor, do_sample: bool, top_k: int, generator: Any) -> int:
    """A token of the distribution (V,): the likeliest, or one sampled from the `top_k` likeliest."""
    import torch

    if not do_sample:
        return int(probabilities.argmax())
    values, token_ids = probabilities.cpu().sort(descending=True, stable=True)
    count = top_k or len(values)
    return int(token_ids[torch.multinomial(values[:count], 1, generator=generator)])


def distribution(generation: SteeredGeneration, settings: Generation) -> Tensor:
    """The next token's distribution (V,), steered where there are attributes; the caches grow by the last token."""
    import torch

    model, steering = generation.model, generation.steering
    new_ids = generation.ids[cache_length(generation.unsteered_cache):]
    with torch.no_grad():
        states, generation.unsteered_cache = forward(model, new_ids, generation.unsteered_cache)
        generation.state_sum = states[:-1].sum(0) + (0 if generation.state_sum is None else generation.state_sum)
        unsteered = probabilities(model, states[-1], generation.ids, settings)
    if not generation.attributes:
        generation.state_sum = generation.state_sum + states[-1]
        return unsteered
    if not generation.steered_cache:  # at first the prompt but its last token; later steps go on from the steered cache
        generation.steered_cache = [(keys[:, :, :-1], values[:, :, :-1]) for keys, values in generation.unsteered_cache]
    cache = generation.steered_cache
    if cache_length(
        cache) and steering.num_iterations and steering.stepsize and generation.new_tokens < steering.grad_length:
        cache = steered_cache(generation, model.apply_head(states[-1:])[0].float().softmax(-1))
    with torch.no_grad():
        steered_states, generation.steered_cache = forward(model, generation.ids[-1:], cache)
        generation.state_sum = generation.state_sum + states[-1]
        steered_probabilities = probabilities(model, steered_states[-1], generation.ids, settings)
        mixture = steered_probabilities ** steering.gm_scale * unsteered ** (1 - steering.gm_scale)
        return mixture / mixture.sum()


def cache_length(cache: Cache) -> int:
    """How many tokens a cache holds."""
    return int(cache[0][0].shape[2]) if cache else 0


def forward(model: Model, ids: Sequence[int] | None, cache: Cache, *,
            embedded: Tensor | None = None) -> tuple[Tensor, Cache]:
    """States of further tokens, (S, W), and the cache grown by them; the tokens as ids or as embeddings (1, S, W)."""
    import torch
    from transformers import DynamicCache

    library_cache: Any = DynamicCache()
    for layer, (keys, values) in enumerate(cache):
        library_cache.update(keys, values, layer)
    inputs = {"inputs_embeds": embedded} if embedded is not None else {
        "input_ids": torch.tensor([list(ids or ())], device=model.device)}
    states = model.module.base_model(**inputs, **with_cache(library_cache), use_cache=True)[0][0]
    return states, [(layer.keys, layer.values) for layer in library_cache.layers]


def probabilities(model: Model, state: Tensor, ids: Sequence[int], settings: Generation) -> Tensor:
    """The distribution after a state (W,) -> (V,), with temperature and repetition penalty."""
    import torch

    logits = model.apply_head(state[None])[0].float()
    if settings.repetition_penalty != 1.0:
        token_ids = torch.tensor(sorted(set(ids)), device=logits.device)
        token_logits = logits[token_ids]
        penalty = settings.repetition_penalty
        logits[token_ids] = torch.where(token_logits > 0, token_logits / penalty, token_logits * penalty)
    return (logits / settings.temperature).softmax(-1)


def steered_cache(generation: SteeredGeneration, unsteered: Tensor) -> Cache:
    """The cache, moved `num_iterations` times down the gradient (section 3.2 of the paper)."""
    import torch

    steering, tensors = generation.steering, [tensor for pair in generation.steered_cache for tensor in pair]
    window_mask = window_weights(cache_length(generation.steered_cache), steering, tensors[0])
    shifts = [torch.zeros_like(tensor) for tensor in tensors]
    only_bags = all(isinstance(attribute, BagOfWords) for attribute in generation.attributes)
    for _ in range(steering.num_iterations):
        leaves = [shift.detach().requires_grad_(True) for shift in shifts]
        shifted = [tensor + leaf for tensor, leaf in zip(tensors, leaves, strict=True)]
        gradients = torch.autograd.grad(loss(generation, list(zip(shifted[::2], shifted[1::2], strict=True)),
                                             unsteered), leaves)
        norms = [float((gradient * window_mask).norm()) + EPSILON for gradient in gradients]
        if only_bags and generation.max_norms:  # the largest so far, so that a bag that is there already pulls less
            norms = [max(pair) for pair in zip(norms, generation.max_norms, strict=True)]
        generation.max_norms = norms
        shifts = [leaf.detach() - steering.stepsize * gradient * window_mask / norm ** steering.gamma
                  for leaf, gradient, norm in zip(leaves, gradients, norms, strict=True)]
    steered_tensors = [tensor + shift for tensor, shift in zip(tensors, shifts, strict=True)]
    return list(zip(steered_tensors[::2], steered_tensors[1::2], strict=True))


def window_weights(length: int, steering: Steering, cached_tensor: Tensor) -> Tensor:
    """How much each cached token moves, (S, 1): all, or those of the window, earlier ones less with decay."""
    import torch

    window = steering.window_length
    if not 0 < window < length:
        return torch.ones(length, 1, device=cached_tensor.device)
    weights = torch.zeros(length, 1, device=cached_tensor.device)
    weights[-window:, 0] = torch.arange(1, window + 1, device=cached_tensor.device) / window if steering.decay else 1.0
    return weights


def loss(generation: SteeredGeneration, cache: Cache, unsteered: Tensor) -> Tensor:
    """The loss of the next token and of the tokens that may follow, for the attributes and for staying near the
    unsteered distribution.
    """
    import torch

    model, steering = generation.model, generation.steering
    states, extended_cache = forward(model, generation.ids[-1:], cache)
    probabilities = model.apply_head(states[-1:])[0].float().softmax(-1)
    value = torch.zeros((), device=probabilities.device)
    for target in generation.attributes:
        if isinstance(target, BagOfWords):
            value = value - (probabilities[torch.tensor(target.ids, device=probabilities.device)].sum() + EPSILON).log()
    heads = [attribute for attribute in generation.attributes if isinstance(attribute, AttributeHead)]
    if heads:
        state_sum, next_probabilities, future_cache = generation.state_sum + states[-1], probabilities, extended_cache
        embeddings = model.module.get_input_embeddings().weight
        for _ in range(steering.horizon_length):
            mean_embedding = next_probabilities.to(embeddings.dtype) @ embeddings  # of the tokens that may come
            next_states, future_cache = forward(model, None, future_cache, embedded=mean_embedding[None, None])
            state_sum, next_probabilities = state_sum + next_states[-1], model.apply_head(next_states[-1:])[
                0].float().softmax(-1)
        means = (state_sum / (len(generation.ids) + steering.horizon_length))[None]
        for head in heads:
            value = value + torch.nn.functional.cross_entropy(head.logits(means),
                                                              torch.tensor([head.label_index], device=means.device))
    if steering.kl_scale:
        value = value + steering.kl_scale * (probabilities
                                             * ((probabilities + EPSILON).log() - (unsteered + EPSILON).log())).sum()
    return value
