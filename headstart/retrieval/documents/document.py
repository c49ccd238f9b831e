"""A document, and the account of what was read and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headstart.errors import Exit

KEPT = 100  # things left out that are told in full; the others are counted


@dataclass(frozen=True)
class Document:
    """A text with a title; `sections` says where each begins, by characters, under which headings ("Care > Water")."""

    id: str
    title: str
    text: str
    sections: tuple[tuple[int, str], ...] = ()
    metadata: Mapping[str, Any] | None = None


@dataclass
class Account:
    """What was read (documents by format), and what was left out, with the reason."""

    read: Counter[str] = field(default_factory=Counter)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    renamed: int = 0
    missing: Exit | None = None  # a package was missing: the exit code, should nothing else be readable

    def leave_out(self, place: str, kind: str, reason: str = "") -> None:
        """One thing that is left out: where it is, why in a word, and why in full."""
        self.reasons[kind] += 1
        if len(self.left_out) < KEPT:
            self.left_out.append((place, reason or kind))

    def words(self) -> list[str]:
        """What was read and left out, in lines."""
        read = ", ".join(f"{count:,} {name}" for name, count in sorted(self.read.items()))
        lines = [f"read {self.read.total():,} documents ({read})" if read else "read no documents"]
        if self.renamed:
            lines.append(f"{self.renamed:,} documents have an id that stood there already; they are called ID#2, ID#3 …")
        if self.reasons:
            reasons = ", ".join(f"{count:,} {kind}" for kind, count in self.reasons.most_common())
            lines.append(f"left out {self.reasons.total():,}: {reasons}")
            lines += [f"  {place}: {reason}" for place, reason in self.left_out[:10]]
            if (more := self.reasons.total() - 10) > 0:
                lines.append(f"  + {more:,} more")
        return lines
