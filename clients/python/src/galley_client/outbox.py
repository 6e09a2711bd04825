"""Commands that wait for their answers, and what goes out on the present connection.

The client adds commands, and one task of each connection takes lines out. Memory is bounded: a
command beyond the bound is refused, and of each kind of other line only the newest waits.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .errors import OptionError, OutboxFullError

if TYPE_CHECKING:
    from .frames import ErrorFrame, PongFrame
    from .picture import Reply

Command = dict[str, Any]


@dataclass(slots=True, eq=False)
class Waiting:
    """A command that waits."""

    id: int
    command: Command
    line: str
    answer: asyncio.Future[Reply | PongFrame | ErrorFrame]
    sends: int = 0
    """How often it went out. After the second time, the gateway may have carried it out before."""
    deferred: int = 0
    """How often the gateway asked to come again later."""
    later: asyncio.TimerHandle | None = field(default=None)
    """The moment for which it was deferred."""


class Outbox:
    """In the order in which they were given; at the bound a new one is refused."""

    def __init__(self, bound: int, max_line: int) -> None:
        """Takes at most `bound` commands of at most `max_line` bytes each."""
        self.bound = bound
        self._max_line = max_line
        self._waiting: dict[int, Waiting] = {}
        self._next_id = 1
        self._open = False
        # What is to go out on the present connection.
        self._ready: dict[int, Waiting] = {}
        self._other: dict[str, str] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """Returns how many commands wait."""
        return len(self._waiting)

    def add(self, command: Command, *, own: bool = False) -> Waiting:
        """Takes a command. What it raises, it raises before anything is sent.

        One of the client's `own`, one at a time, is not counted.
        """
        if len(self._waiting) >= self.bound and not own:
            raise OutboxFullError(self.bound)
        line = encoded({**command, "id": self._next_id})
        if len(line.encode()) > self._max_line:
            raise OptionError("too-big", f"the command has more than {self._max_line} bytes")
        answer = asyncio.get_running_loop().create_future()
        waiting = Waiting(self._next_id, command, line, answer)
        self._next_id += 1
        self._waiting[waiting.id] = waiting
        self.send(waiting)
        return waiting

    def get(self, command_id: object) -> Waiting | None:
        """Returns the command with this id."""
        return self._waiting.get(command_id) if isinstance(command_id, int) else None

    def all(self) -> list[Waiting]:
        """Returns the commands that wait."""
        return list(self._waiting.values())

    def remove(self, waiting: Waiting) -> None:
        """The command needs no answer any more; one that has not gone out never will."""
        self._waiting.pop(waiting.id, None)
        self._ready.pop(waiting.id, None)
        if waiting.later:
            waiting.later.cancel()

    def send(self, waiting: Waiting) -> None:
        """Lets a command go out, now or on the next connection."""
        if self._open and waiting.id in self._waiting:
            self._ready[waiting.id] = waiting
            self._wake.set()

    def defer(self, waiting: Waiting, seconds: float) -> None:
        """Lets a command go out again after so long, or on the next connection."""
        waiting.deferred += 1
        waiting.later = asyncio.get_running_loop().call_later(seconds, self.send, waiting)

    def say(self, kind: Literal["auth", "ping", "watch"], line: str) -> bool:
        """Lets another line go out; false without a connection."""
        if self._open:
            self._other[kind] = line
            self._wake.set()
        return self._open

    def begin(self) -> None:
        """A connection takes commands: what waits goes out, again if need be."""
        self._open = True
        for waiting in self._waiting.values():
            if waiting.later:
                waiting.later.cancel()
            self.send(waiting)

    def stop(self) -> None:
        """The connection is gone."""
        self._open = False
        self._ready.clear()
        self._other.clear()

    async def next(self) -> str:
        """Returns the next line that goes out, as soon as there is one."""
        while not self._other and not self._ready:
            self._wake.clear()
            await self._wake.wait()
        if self._other:
            return self._other.pop(next(iter(self._other)))
        waiting = self._ready.pop(next(iter(self._ready)))
        waiting.sends += 1
        return waiting.line


def encoded(command: Command) -> str:
    """Returns the line of a command. `ValueError` if it is no text that can be sent."""
    return json.dumps(command, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
