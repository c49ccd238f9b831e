"""What is learned and looked at while training rows are read for the first time: a large file is then passed once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headstart.contract import Example, Learned, Task
from headstart.data.checks.similar_classes import ClassProfiles
from headstart.data.checks.text_hashes import SplitScan
from headstart.errors import UserError


class FirstLook:
    """What a task learns of rows and what their check keeps of them; `learned` is None where they must be read again.

    That is so for a task whose examples are others once it has learned, and where it cannot learn from the rows.
    """

    def __init__(self) -> None:
        self.label_ids: dict[str | None, int] = {}
        self.profiles = ClassProfiles()
        self.learned: Learned | None = None
        self.scan: SplitScan | None = None

    def take(self, task: Task[Any], examples: Iterator[Example]) -> None:
        """Learn from examples that can be passed once, and look at each."""
        if not task.reads_the_same_after_learning:
            return
        label_ids: dict[str | None, int] = {}
        profiles = ClassProfiles()
        scan = SplitScan(label_ids, profiles)
        watched = scan.watched(task, examples)
        try:
            learned = task.learn(watched)
        except UserError:  # said where it is learned again
            return
        for _ in watched:
            pass
        self.label_ids, self.profiles, self.scan, self.learned = label_ids, profiles, scan, learned
