"""A text's words, in small letters.

Words are runs of letters and digits with inner ' ’ - . , and single Chinese, Japanese kana or Thai letters.
"""

from __future__ import annotations

import re

SINGLE = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # scripts without space between words, for a regular expression
WORD = re.compile(rf"[{SINGLE}]|[^\W_{SINGLE}]+(?:['’.,\-][^\W_{SINGLE}]+)*")


def words(text: str) -> list[str]:
    """The words of a text in small letters: "It's 3.5 km." -> it's, 3.5, km."""
    return WORD.findall(text.lower())
