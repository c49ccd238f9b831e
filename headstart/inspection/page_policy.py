"""What a page of ours may run and look like: its own script and style sheet, and nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib


def page_policy(style: str, script: str) -> str:
    """The content security policy of a page with this very style sheet and script."""
    return (f"default-src 'none'; style-src '{source_hash(style)}'; script-src '{source_hash(script)}'; "
            "base-uri 'none'; form-action 'none'")


def source_hash(text: str) -> str:
    """A source of a content security policy: this very text and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
