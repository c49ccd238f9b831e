"""A document, and the report of what was read and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headstart.errors import Exit

MAX_LISTED = 100  # things left out that are kept with their reason; the others are counted
MAX_BYTES = 2**26  # of one document; a longer text is several, or a table of rows
MAX_ID = 1000  # characters: each passage holds its document's id
MAX_HEADING = 300  # characters of a title or heading: each passage below it holds it


def shortened(heading: str) -> str:
    """A title or heading as it goes with each passage: a very long one is cut."""
    return heading if len(heading) <= MAX_HEADING else heading[:MAX_HEADING - 1] + "…"


@dataclass(frozen=True)
class Document:
    """A text with a title; `sections` says where each begins, by characters, under which headings ("Care > Water")."""

    id: str
    title: str
    text: str
    sections: tuple[tuple[int, str], ...] = ()
    metadata: Mapping[str, Any] | None = None


@dataclass
class ReadReport:
    """What was read (documents by format), and what was left out, with the reason."""

    documents_read: Counter[str] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    reason_counts: Counter[str] = field(default_factory=Counter)
    renamed_count: int = 0
    missing_package: Exit | None = None  # a package was missing: the exit code, should nothing else be readable

    def skip(self, source: str, kind: str, reason: str = "") -> None:
        """Count one thing that is left out: where it is, why in a word, and why in full."""
        self.reason_counts[kind] += 1
        if len(self.skipped) < MAX_LISTED:
            self.skipped.append((source, reason or kind))

    def lines(self) -> list[str]:
        """What was read and left out, as lines of text."""
        counts = ", ".join(f"{count:,} {name}" for name, count in sorted(self.documents_read.items()))
        lines = [f"read {self.documents_read.total():,} documents ({counts})" if counts else "read no documents"]
        if self.renamed_count:
            lines.append(f"{self.renamed_count:,} documents have an id that stood there already; they are called ID#2, "
                         "ID#3 …")
        if self.reason_counts:
            reasons = ", ".join(f"{count:,} {kind}" for kind, count in self.reason_counts.most_common())
            lines.append(f"skipped {self.reason_counts.total():,}: {reasons}")
            lines += [f"  {source}: {reason}" for source, reason in self.skipped[:10]]
            if (hidden_count := self.reason_counts.total() - 10) > 0:
                lines.append(f"  + {hidden_count:,} more")
        return lines
