"""Without the messages and progress bars of transformers, in all threads."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any


class SharedContext:
    """A context of the whole process that threads share: the first to enter sets it up, the last to leave ends it."""

    def __init__(self, context: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        self.context, self.lock, self.users, self.stack = context, threading.Lock(), 0, contextlib.ExitStack()

    def __enter__(self) -> None:
        with self.lock:
            if not self.users:
                self.stack.enter_context(self.context())
            self.users += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.users -= 1
            if not self.users:
                self.stack.close()


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Without the library's own messages and progress bars, as they were after."""
    import transformers

    logging: Any = transformers.utils.logging
    verbosity, had_progress_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if had_progress_bars:
            logging.enable_progress_bar()


SILENCE = SharedContext(silence)


def quiet() -> SharedContext:
    """Without the library's own messages and progress bars: what matters is checked here, with messages of our own."""
    return SILENCE
