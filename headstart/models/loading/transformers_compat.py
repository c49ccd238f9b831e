"""Names that differ between versions of transformers: 5.24 renamed the key-value cache from `past_key_values` to
`cache`.
"""

from __future__ import annotations

from typing import Any


def with_cache(cache: Any) -> dict[str, Any]:
    """A cache as the keyword argument of forward and generate."""
    from transformers.generation.utils import ALL_CACHE_NAMES

    return {"cache" if "cache" in ALL_CACHE_NAMES else "past_key_values": cache}


def cache_key(model_inputs: dict[str, Any]) -> str | None:
    """The name of the cache among a step's keyword arguments; None where there is none."""
    from transformers.generation.utils import ALL_CACHE_NAMES

    return next((name for name in ALL_CACHE_NAMES if name in model_inputs), None)
