"""What a generative model writes after prompts, or for sources, as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headstart.contract import Json, Task
from headstart.errors import UserError
from headstart.settings import Generation, Steering, build_steering


def written_rows(task: Task[Any], transformer: Any, prompts: Sequence[str], own_settings: Generation | None,
                 settings: Generation | None, overrides: Mapping[str, Any], *, seed: int, stop: Sequence[str],
                 stream: Callable[[str], None] | None, steer: Sequence[str],
                 steering: Steering | Mapping[str, Any] | None) -> list[dict[str, Json]]:
    """The rows of `Model.generate`; `own_settings` are those that were set on the model. Raises UserError."""
    from headstart.generation.generate import generate
    from headstart.generation.task_settings import prompt_settings, target_rows
    from headstart.models.encoder_decoder import EncoderDecoderModel

    if isinstance(transformer, EncoderDecoderModel):
        if steer:
            raise UserError("Only a causal language model can be steered.", fix="Leave --steer out.")
        return target_rows(task, transformer, prompts, settings, overrides, seed=seed, stop=stop, base=own_settings)
    generation = prompt_settings(task, settings or own_settings, overrides)
    if steer:  # it follows gradients
        from headstart.generation.steering import comparison

        return comparison.generate(transformer, prompts, generation, build_steering(steering), steer, seed=seed,
                                   stop=stop)
    generations = generate(transformer, prompts, generation, seed=seed, stop=stop, stream=stream)
    return [{"prompt": prompt, "prediction": candidate.text, "log_probability": sum(candidate.log_probabilities),
             "tokens": [{"token": token, "log_probability": log_probability} for token, log_probability in
                        zip(transformer.tokenizer.pieces(candidate.ids), candidate.log_probabilities, strict=True)],
             "ended": candidate.finish_reason, "cut_tokens": candidate.cut_tokens}
            for prompt, candidates in zip(prompts, generations, strict=True) for candidate in candidates]


def source_layout(task: Task[Any], transformer: Any, own_settings: Generation | None) -> tuple[str, Generation | None]:
    """What stands before each source, and the settings that targets are written by; "" and None where there are none.
    """
    from headstart.generation.encoder_decoder import generation_settings

    if not transformer.generates_from_source:
        return "", None
    learned = task.learned.values
    return str(learned.get("prefix") or ""), own_settings or generation_settings(transformer,
                                                                                 learned.get("generation") or {})
