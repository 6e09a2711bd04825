"""The client, as programs see it."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Self, cast

from .address import Address
from .backoff import Backoff
from .errors import LateError, OptionError, ProblemError
from .keeper import Keeper, Kept, MemoryKeeper
from .listeners import listening
from .session import Session, present
from .state import Cause, State

if TYPE_CHECKING:
    import os
    import ssl
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from .changes import Changes
    from .frames import (
        Hero,
        Order,
        ReplyMealPage,
        ReplyOrder,
        ReplyOrderPage,
        ReplyWatching,
        ServerFrame,
        Status,
        Totals,
    )
    from .outbox import Command
    from .picture import Change
    from .renewal import TokenProvider


class Galley:
    """A connection to Galley that comes back by itself.

    Use it in one event loop. `async with Galley(url, hero_id=4) as galley:` connects, and closes
    at the end.
    """

    def __init__(
        self,
        url: str,
        *,
        hero_id: int | None = None,
        token: TokenProvider | str | None = None,
        tls: ssl.SSLContext | str | os.PathLike[str] | None = None,
        keeper: Keeper | None = None,
        backoff: Backoff | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = 30.0,
        max_waiting: int = 100,
        max_ended: int = 10_000,
        max_frame: int = 16 * 1024 * 1024,
        max_sent: int = 16 * 1024,
    ) -> None:
        """Checks the options and raises `OptionError`; nothing is connected yet.

        `url`: the gateway, `https://example.org/galley`. `hero_id`: whose orders; without it those
        of the token's hero, or else the connection is staff's. `token`: a provider, which is asked
        at each connection and before a token expires. `tls`: a context, or a PEM file with the
        authorities to trust. `keeper`: where placements wait; `FileKeeper` survives the program.
        `timeout`: seconds for each answer. `connect_timeout`: seconds for the first connection.
        `max_waiting`: commands that wait; the next one raises `OutboxFullError`. `max_ended`:
        ended orders in `orders`; the oldest are forgotten. `max_frame`: bytes of a frame of the
        gateway; a larger one ends the connection. `max_sent`: bytes of a command; a larger one
        raises `OptionError`.
        """
        bounds = {
            "max_waiting": max_waiting,
            "max_ended": max_ended,
            "max_frame": max_frame,
            "max_sent": max_sent,
        }
        for name, bound in bounds.items():
            if bound < 1:
                raise OptionError("bad-option", f"{name} is at least 1, not {bound}")
        self._connect_timeout = connect_timeout
        self._session = Session(
            Address(url, hero_id, tls),
            token,
            keeper if keeper is not None else MemoryKeeper(),
            backoff or Backoff(),
            timeout=timeout,
            **bounds,
        )

    async def __aenter__(self) -> Self:
        """Connects."""
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes."""
        await self.close()

    # --- What is known

    @property
    def state(self) -> State:
        """Where the connection stands."""
        return self._session.connection.state

    @property
    def hero(self) -> Hero | None:
        """The newest state of the hero; None for staff."""
        return self._session.hero

    @property
    def orders(self) -> list[Order]:
        """The newest states of the orders, the newest order first."""
        return self._session.picture.orders()

    @property
    def totals(self) -> Totals | None:
        """How many orders there are, as the feed told last (staff)."""
        return self._session.totals

    @property
    def pending(self) -> list[Command]:
        """The placements, cancels and deletes that wait for their answers, each with its id."""
        kinds = ("place", "cancel", "delete")
        waiting = [one for one in self._session.outbox.all() if one.command["type"] in kinds]
        return [{**one.command, "id": one.id} for one in waiting]

    def order(self, order_id: int) -> Order | None:
        """Returns the newest state of an order, if it is known."""
        return self._session.picture.get(order_id)

    # --- The connection

    async def connect(self, timeout: float | None = None) -> None:
        """Begins, and returns when the gateway has said welcome.

        Raises `ClosedError` when it never will. Raises `LateError` when it has not in time; then
        it goes on trying, until `close()`.
        """
        self._session.check_open()
        if self.state.name == "idle":
            self._session.open()
        try:
            seconds = self._connect_timeout if timeout is None else timeout
            await self.until(lambda galley: galley.state.is_open, seconds)
        except LateError as error:
            cause = self._session.connection.last_cause
            why = f": {cause.detail}" if cause else ""
            raise LateError(f"no connection in time{why}") from error

    async def close(self) -> None:
        """Ends for good. What waits raises `ClosedError`; placements stay kept."""
        await self._session.close(Cause("closed", "the client was closed"))

    def retry_now(self) -> None:
        """Tries again at once instead of waiting for the end of the pause."""
        self._session.check_open()
        self._session.connection.retry_now()

    def check(self) -> None:
        """Asks the gateway whether it is there. Its silence is known within seconds."""
        self._session.check_open()
        self._session.connection.check()

    async def renew(self) -> bool:
        """Shows the gateway the provider's token on the open connection.

        Returns whether it took it; False without a connection, or if it has this token already.
        """
        self._session.check_open()
        return await self._session.renewal.renew()

    # --- Commands

    async def place(
        self,
        meal_id: int,
        *,
        key: str | None = None,
        traceparent: str | None = None,
        timeout: float | None = None,
    ) -> Order:
        """Orders a meal, once, whatever happens on the way.

        A call that is cancelled or late is given up: if it was not sent yet, nothing is ordered;
        otherwise an order may exist, and another call with the same `key` returns it.
        `traceparent` names the span of the caller (W3C Trace Context).
        """
        kept = Kept(key or secrets.token_hex(16), meal_id, time.time())
        return await self._session.place(kept, traceparent, timeout)

    async def cancel(
        self, order_id: int, reason: str | None = None, *, timeout: float | None = None
    ) -> Order:
        """Cancels an order; `already-finished` is the code of one that came too late."""
        command: Command = {"type": "cancel", "order_id": order_id}
        if reason:
            command["reason"] = reason
        waiting = self._session.take(command)
        try:
            reply = await self._session.answer(waiting, timeout)
        except ProblemError as error:
            order = error.order
            # The first of two equal cancels did it.
            cancelled = order and (order["status"], order["reason"]) == (
                "CANCELLED",
                "hero_request",
            )
            if order and cancelled and waiting.sends > 1:
                return order
            raise
        return cast("ReplyOrder", reply)["order"]

    async def delete(self, order_id: int, *, timeout: float | None = None) -> None:
        """Deletes an order that has ended."""
        waiting = self._session.take({"type": "delete", "order_id": order_id})
        try:
            _ = await self._session.answer(waiting, timeout)
        except ProblemError as error:
            # The first of two equal deletes did it.
            if error.code != "order-not-found" or waiting.sends == 1:
                raise
        self._session.listeners.changed(self._session.picture.drop(order_id))

    async def get(self, order_id: int, *, timeout: float | None = None) -> Order:
        """Reads an order."""
        reply = await self._session.ask({"type": "get", "order_id": order_id}, timeout)
        return cast("ReplyOrder", reply)["order"]

    async def page(
        self,
        status: Iterable[Status] = (),
        *,
        limit: int | None = None,
        cursor: str | None = None,
        timeout: float | None = None,
    ) -> ReplyOrderPage:
        """Reads a page of the orders, the newest first."""
        command = {"type": "orders", "status": list(status), "limit": limit, "cursor": cursor}
        return cast("ReplyOrderPage", await self._session.ask(present(command), timeout))

    async def menu(
        self, cursor: str | None = None, *, timeout: float | None = None
    ) -> ReplyMealPage:
        """Reads a page of the menu."""
        command = present({"type": "menu", "cursor": cursor})
        return cast("ReplyMealPage", await self._session.ask(command, timeout))

    async def watch(
        self,
        status: Iterable[Status] = (),
        *,
        hero_id: int | None = None,
        max_rate: int | None = None,
        timeout: float | None = None,
    ) -> Totals | None:
        """Watches the whole feed from now on (staff), again after each reconnection."""
        command = {"type": "watch", "status": list(status), "hero_id": hero_id}
        command = present({**command, "max_rate": max_rate})
        self._session.watch = None
        reply = await self._session.ask(command, timeout)
        self._session.watch = command
        return cast("ReplyWatching", reply).get("totals")

    async def ping(self, *, timeout: float | None = None) -> None:
        """Returns when the gateway has answered."""
        _ = await self._session.ask({"type": "ping"}, timeout)

    # --- What is new

    def changes(self, bound: int = 1_000) -> Changes:
        """Returns the changes of the orders from now on, of which at most `bound` wait."""
        self._session.check_open()
        return self._session.listeners.reader(self._session.picture, max(1, bound))

    async def until(
        self, satisfied: Callable[[Galley], bool], timeout: float | None = None
    ) -> None:
        """Returns as soon as a condition on this client holds. It is asked after each change."""
        try:
            async with asyncio.timeout(timeout):
                while not satisfied(self):
                    self._session.check_open()
                    await self._session.listeners.news()
        except TimeoutError as error:
            raise LateError("what was waited for did not come in time") from error

    def on_state(self, listener: Callable[[State], None]) -> Callable[[], None]:
        """Calls a function at each state, until the one that is returned is called.

        What a listener raises is logged, and disturbs neither the connection nor others.
        """
        return listening(self._session.listeners.on_state, listener)

    def on_change(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Calls a function at each change of the orders."""
        return listening(self._session.listeners.on_change, listener)

    def on_frame(self, listener: Callable[[ServerFrame], None]) -> Callable[[], None]:
        """Calls a function at each frame of the gateway, of types to come as well."""
        return listening(self._session.listeners.on_frame, listener)
