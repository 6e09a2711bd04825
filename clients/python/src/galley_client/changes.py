"""Changes for one reader, in a bounded buffer."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from .picture import Change

if TYPE_CHECKING:
    from collections.abc import Callable

    from .frames import Order


class Changes:
    """An asynchronous iterator over the changes since it was made.

    It ends when the client is closed, and raises `ClosedError` when the gateway ended the
    connection for good. If the reader falls behind by more than the bound, the changes that wait
    are dropped, and one with `complete` takes their place: it holds the newest state of each order
    that is known, and what it does not hold is gone. So a slow reader misses steps, never a state.
    """

    def __init__(self, orders: Callable[[], list[Order]], bound: int) -> None:
        """Holds at most `bound` changes; `orders` are all that are known."""
        self._orders = orders
        self._bound = bound
        self._buffer: deque[Change] = deque()
        self._behind = False
        self._end: Exception | None = None
        self._wake = asyncio.Event()

    def __aiter__(self) -> Changes:
        """Returns itself."""
        return self

    async def __anext__(self) -> Change:
        """Returns the next change. A reader that is cancelled while it waits loses none."""
        while True:
            if self._behind:
                self._behind = False
                return Change(tuple(self._orders()), complete=True)
            if self._buffer:
                return self._buffer.popleft()
            if self._end:
                raise self._end
            self._wake.clear()
            await self._wake.wait()

    def put(self, change: Change) -> None:
        """Adds a change; what is dropped at the bound is in the orders that are known."""
        if len(self._buffer) >= self._bound:
            self._buffer.clear()
            self._behind = True
        if not self._behind:
            self._buffer.append(change)
        self._wake.set()

    def end(self, error: Exception | None) -> None:
        """Lets the reader read what is there, and ends."""
        self._end = error or StopAsyncIteration()
        self._wake.set()
