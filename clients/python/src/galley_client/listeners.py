"""Who is told what is new: functions, readers of changes, and calls that wait for a condition."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakSet

from .changes import Changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from .errors import ClosedError
    from .frames import ServerFrame
    from .picture import Change, Picture
    from .state import State

Event = TypeVar("Event")

log = logging.getLogger(__name__)


class Listeners:
    """What a listener raises is logged, and disturbs neither the connection nor others."""

    def __init__(self) -> None:
        """Begins with nobody."""
        self.on_state: list[Callable[[State], None]] = []
        self.on_change: list[Callable[[Change], None]] = []
        self.on_frame: list[Callable[[ServerFrame], None]] = []
        # A reader that nobody holds any more is gone from here too.
        self._readers: WeakSet[Changes] = WeakSet()
        # Set and replaced whenever something is new.
        self._news = asyncio.Event()

    def reader(self, picture: Picture, bound: int) -> Changes:
        """Returns a new reader of changes."""
        changes = Changes(picture.orders, bound)
        self._readers.add(changes)
        return changes

    async def news(self) -> None:
        """Returns when something is new."""
        _ = await self._news.wait()

    def changed(self, change: Change) -> None:
        """Tells a change, if it is one."""
        if change:
            for reader in self._readers:
                reader.put(change)
            self.tell(self.on_change, change)

    def ended(self, closed: ClosedError) -> None:
        """Tells the readers that nothing follows."""
        for reader in self._readers:
            reader.end(None if closed.code == "closed" else closed)

    def tell(self, listeners: list[Callable[[Event], None]], event: Event) -> None:
        """Calls these listeners."""
        for listener in tuple(listeners):
            try:
                listener(event)
            except Exception:
                log.exception("a listener failed")
        self.wake()

    def wake(self) -> None:
        """Lets those who wait for a condition look again."""
        self._news.set()
        self._news = asyncio.Event()


def listening(listeners: list[Event], listener: Event) -> Callable[[], None]:
    """Adds a listener, and returns what takes it away again."""
    listeners.append(listener)

    def stop() -> None:
        with suppress(ValueError):
            listeners.remove(listener)

    return stop
