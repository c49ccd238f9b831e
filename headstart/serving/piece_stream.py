"""Pieces of an answer on their way from an engine's thread to the reader of a stream."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from headstart.serving.engine import DeadlineExceeded

Piece = TypeVar("Piece")


class ReaderGone(Exception):
    """Nobody reads what is generated any more."""


class PieceStream(Generic[Piece]):
    """What a computation puts piece by piece, and a reader takes; made in the event loop of the reader."""

    def __init__(self) -> None:
        self.loop, self.pieces = asyncio.get_running_loop(), asyncio.Queue[Piece | None]()
        self.is_wanted = True
        self.future: Future[Any] | None = None

    def put(self, piece: Piece) -> None:
        """Hand a piece on, from any thread; raises ReaderGone once nobody reads."""
        if not self.is_wanted:
            raise ReaderGone
        self.loop.call_soon_threadsafe(self.pieces.put_nowait, piece)

    def end_with(self, future: Future[Any]) -> None:
        """The pieces are those of this computation, and end with it."""
        self.future = future
        future.add_done_callback(lambda _: self.loop.call_soon_threadsafe(self.pieces.put_nowait, None))

    async def take(self, seconds: float) -> Piece | None:
        """The next piece, within so many seconds; None after the last. Raises DeadlineExceeded."""
        try:
            return await asyncio.wait_for(self.pieces.get(), seconds)
        except TimeoutError:
            raise DeadlineExceeded from None

    def close(self) -> None:
        """End the computation, where it still goes on: the reader went away, or has all of it."""
        self.is_wanted = False
        if self.future is not None:
            self.future.cancel()
