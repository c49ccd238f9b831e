"""What transformers calls the keys and values that a model keeps while it writes: its 5.24 renamed `past_key_values` to `cache`."""

from __future__ import annotations

from typing import Any


def with_cache(cache: Any) -> dict[str, Any]:
    """A cache as the keyword argument of forward and generate."""
    from transformers.generation.utils import ALL_CACHE_NAMES

    return {"cache" if "cache" in ALL_CACHE_NAMES else "past_key_values": cache}


def cache_key(given: dict[str, Any]) -> str | None:
    """Under which name a step's keyword arguments hold what the model keeps; None where it keeps nothing."""
    from transformers.generation.utils import ALL_CACHE_NAMES

    return next((name for name in ALL_CACHE_NAMES if name in given), None)
