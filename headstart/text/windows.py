"""Where a long text is cut: pairs (begin, end) of token positions."""

from __future__ import annotations


def windows(length: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """Windows of at most `size` tokens over a text; neighbours share `overlap` tokens, nothing is left out.

    windows(10, 4, 1) -> (0, 4) (3, 7) (6, 10)
    """
    assert 0 <= overlap < size
    spans = [(0, min(size, length))]
    while spans[-1][1] < length:
        start = spans[-1][1] - overlap
        spans.append((start, min(start + size, length)))
    return spans


def head_tail(length: int, size: int) -> list[tuple[int, int]]:
    """The first quarter and the last three quarters of `size` tokens (Sun et al. 2019, section 5.3: 128 + 382 of 510).
    """
    if length <= size:
        return [(0, length)]
    head = size // 4
    return [(0, head), (length - (size - head), length)]
