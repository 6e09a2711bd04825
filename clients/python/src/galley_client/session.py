"""What ties connection, outbox and picture together, below the calls of the client."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from .connection import Connection
from .errors import ClosedError, GalleyError, LateError, ProblemError, slug_of
from .listeners import Listeners
from .outbox import Command, Outbox, Waiting, encoded
from .picture import GONE, Picture, is_active
from .renewal import Renewal, TokenProvider

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from .address import Address
    from .backoff import Backoff
    from .frames import (
        ErrorFrame,
        Hero,
        Order,
        PongFrame,
        ReplyOrder,
        ReplyOrderPage,
        ServerFrame,
        Totals,
        WelcomeFrame,
    )
    from .keeper import Keeper, Kept
    from .picture import Reply
    from .state import Cause, State

log = logging.getLogger(__name__)

# Problems after which the same command may be sent again: nothing was changed, or doing it twice
# does no harm.
LATER = frozenset({"overloaded", "rate-limited", "draining", "unavailable"})
# So often; then the problem is the answer.
MAX_DEFERRED = 10
# The gateway's hint when to send a command again is believed up to so many seconds.
MAX_LATER = 60.0
# Placements that were kept for so many seconds are dropped: nobody wants yesterday's lunch.
MAX_AGE = 3_600.0
# Orders on a page when it is found out what became of them.
PAGE = 100


class Session:
    """Commands with their answers, and what is known of the orders."""

    def __init__(
        self,
        address: Address,
        token: TokenProvider | str | None,
        keeper: Keeper,
        backoff: Backoff,
        *,
        timeout: float | None,
        max_waiting: int,
        max_ended: int,
        max_frame: int,
        max_sent: int,
    ) -> None:
        """Takes the options of the client."""
        self.outbox = Outbox(max_waiting, max_sent)
        self.picture = Picture(max_ended)
        self.renewal = Renewal(token, self.outbox)
        self.listeners = Listeners()
        self.connection = Connection(
            address,
            self.outbox,
            self.renewal,
            backoff=backoff,
            max_frame=max_frame,
            cursor=lambda: self.picture.cursor,
            on_state=self._entered,
            on_line=self._hear,
        )
        self.hero: Hero | None = None
        self.totals: Totals | None = None
        # The filter of the feed of staff, sent again after each welcome.
        self.watch: Command | None = None
        self._keeper = keeper
        self._backoff = backoff
        self._timeout = timeout
        self._placing: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._rereading: asyncio.Task[Any] | None = None

    def check_open(self) -> None:
        """Raises `ClosedError` after the end."""
        if self.connection.state.name == "closed":
            raise ClosedError(cast("Cause", self.connection.state.cause))

    def open(self) -> None:
        """Begins. What an earlier life of this program kept is placed again under its keys."""
        for kept in self._keeper.all():
            if time.time() - kept.at > MAX_AGE:
                self._keeper.forget(kept.key)
            elif len(self.outbox) < self.outbox.bound and kept.key not in self._placing:
                _ = self._spawn(self.place(kept, None, None))
        self.connection.open()

    async def close(self, cause: Cause) -> None:
        """Ends for good."""
        await self.connection.close(cause)
        # What they waited for has failed by now.
        if self._tasks:
            _ = await asyncio.wait(self._tasks)

    # --- Commands

    async def ask(self, command: Command, timeout: float | None) -> Reply | PongFrame:
        """Gives a command out and returns the answer."""
        return await self.answer(self.take(command), timeout)

    def take(self, command: Command) -> Waiting:
        """Takes a command; it goes out when the caller waits."""
        self.check_open()
        waiting = self.outbox.add(command)
        self.listeners.wake()
        return waiting

    async def answer(self, waiting: Waiting, timeout: float | None) -> Reply | PongFrame:
        """Waits for the answer. A call that is given up is never sent from then on."""
        seconds = self._timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(None if seconds == math.inf else seconds):
                answer = await waiting.answer
        except TimeoutError as error:
            raise LateError(f"no answer to `{waiting.command['type']}` in time") from error
        finally:
            self.outbox.remove(waiting)
            self.listeners.wake()
        if answer["type"] == "error":
            raise ProblemError(answer["problem"])
        return answer

    async def place(self, kept: Kept, traceparent: str | None, timeout: float | None) -> Order:
        """Places an order, which is kept until its answer comes or the call is given up."""
        command = {"type": "place", "meal_id": kept.meal_id, "key": kept.key}
        waiting = self.take(present({**command, "traceparent": traceparent}))
        # Nothing is sent before this task waits: so what is sent is kept.
        self._keeper.keep(kept)
        self._placing.add(kept.key)
        try:
            reply = await self.answer(waiting, timeout)
        except ClosedError:
            raise
        except BaseException:
            self._keeper.forget(kept.key)
            raise
        finally:
            self._placing.discard(kept.key)
        self._keeper.forget(kept.key)
        return cast("ReplyOrder", reply)["order"]

    # --- What the connection tells

    def _entered(self, state: State) -> None:
        """The connection stands elsewhere now."""
        if state.name == "closed":
            closed = ClosedError(cast("Cause", state.cause))
            for waiting in self.outbox.all():
                if not waiting.answer.done():
                    waiting.answer.set_exception(closed)
            self.listeners.ended(closed)
        self.listeners.tell(self.listeners.on_state, state)

    def _hear(self, line: str) -> None:
        """Takes a frame in. One that cannot be read is passed over, as one of a type to come is."""
        try:
            frame: ServerFrame = json.loads(line)
            if frame["type"] == "welcome":
                self._welcomed(frame)
            elif frame["type"] == "reconnect":
                self.connection.hint(frame["after_ms"] / 1_000)
            elif frame["type"] == "hero":
                self.hero = frame["hero"]
            elif frame["type"] == "expiring":
                self.renewal.expiring(frame["after_ms"] / 1_000)
            else:
                self.listeners.changed(self.picture.apply(frame))
            if frame["type"] == "feed":
                self.totals = frame.get("totals", self.totals)
            if frame["type"] in ("reply", "error", "pong"):
                self._settle(frame)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            log.warning("a frame of the gateway cannot be read: %r", error)
            return
        self.listeners.tell(self.listeners.on_frame, frame)

    def _welcomed(self, frame: WelcomeFrame) -> None:
        told = {order["id"] for order in frame["orders"]}
        unsure = [one["id"] for one in self.picture.active() if one["id"] not in told]
        self.hero = frame.get("hero")
        change = self.picture.apply(frame)
        self.connection.welcomed()
        self.listeners.changed(change)
        if self.watch and not self.hero:
            resumed = present({**self.watch, "cursor": self.picture.cursor})
            self.outbox.say("watch", encoded(resumed))
        # After a gap that no cursor bridges, what was active may have ended, or be gone.
        if frame["resume"] != "resumed" and unsure:
            if self._rereading:
                self._rereading.cancel()
            self._rereading = self._spawn(self._reread(unsure))

    def _settle(self, answer: Reply | ErrorFrame | PongFrame) -> None:
        """An answer has come; the gateway may ask to come again later."""
        self.renewal.hear(answer)
        waiting = self.outbox.get(answer.get("id"))
        if waiting is None or waiting.answer.done():
            return
        if answer["type"] == "error":
            problem = answer["problem"]
            if slug_of(problem) in LATER and waiting.deferred < MAX_DEFERRED:
                asked = min(problem.get("retry_after_ms", 0) / 1_000, MAX_LATER)
                self.outbox.defer(waiting, asked + self._backoff.pause(waiting.deferred))
                return
        waiting.answer.set_result(answer)

    # --- After a gap

    async def _reread(self, unsure: list[int]) -> None:
        """Finds out what became of orders: by the page, and one by one what pages did not tell."""
        left = set(unsure)
        cursor: str | None = None
        for _ in unsure:
            command = present({"type": "orders", "limit": PAGE, "cursor": cursor})
            page = cast("ReplyOrderPage", await self._read(command))
            cursor = page["next_cursor"]
            told = [one["id"] for one in page["items"]]
            # A page may end early, even without an entry: then none has been passed.
            oldest = 0 if cursor is None else min(told, default=GONE)
            passed = {one for one in left if one >= oldest}
            for order_id in passed.difference(told):
                self.listeners.changed(self.picture.drop(order_id))
            left -= passed
            if cursor is None or not left:
                break
        for order_id in left:
            known = self.picture.get(order_id)
            if known and is_active(known):
                try:
                    _ = await self._read({"type": "get", "order_id": order_id})
                except ProblemError as error:
                    if error.code == "order-not-found":
                        self.listeners.changed(self.picture.drop(order_id))

    async def _read(self, command: Command) -> Reply | PongFrame:
        """Asks on the client's own behalf, even if the outbox is full, and with patience."""
        return await self.answer(self.outbox.add(command, own=True), math.inf)

    def _spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Runs work beside, to its end or that of the client."""
        task = asyncio.create_task(quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def present(command: Command) -> Command:
    """Returns a command without what was not given."""
    return {name: value for name, value in command.items() if value is not None and value != []}


async def quietly(work: Coroutine[Any, Any, object]) -> None:
    """Runs work whose failure is told elsewhere: by the state, or by the next connection."""
    with suppress(GalleyError):
        _ = await work
