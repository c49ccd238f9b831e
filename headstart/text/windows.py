"""Where a long text is cut: pairs (begin, end) of token positions."""

from __future__ import annotations


def windows(length: int, room: int, overlap: int) -> list[tuple[int, int]]:
    """Windows of at most `room` tokens over a text; neighbours share `overlap` tokens, nothing is left out.

    windows(10, 4, 1) -> (0, 4) (3, 7) (6, 10)
    """
    assert 0 <= overlap < room
    found = [(0, min(room, length))]
    while found[-1][1] < length:
        begin = found[-1][1] - overlap
        found.append((begin, min(begin + room, length)))
    return found


def head_tail(length: int, room: int) -> list[tuple[int, int]]:
    """The first quarter and the last three quarters of the room (Sun et al. 2019, section 5.3: 128 + 382 of 510)."""
    if length <= room:
        return [(0, length)]
    head = room // 4
    return [(0, head), (length - (room - head), length)]
