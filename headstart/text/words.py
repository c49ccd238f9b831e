"""A text's words, in lower case.

Words are runs of letters and digits with inner ' ’ - . , and single Chinese, Japanese kana or Thai letters.
"""

from __future__ import annotations

import re

# Scripts without space between words, for a regular expression.
UNSPACED_CHARACTERS = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{UNSPACED_CHARACTERS}]|[^\W_{UNSPACED_CHARACTERS}]+(?:['’.,\-][^\W_{UNSPACED_CHARACTERS}]+)*")


def tokenize_words(text: str) -> list[str]:
    """The words of a text in lower case: "It's 3.5 km." -> it's, 3.5, km."""
    return WORD.findall(text.lower())
