"""What a client knows of its orders.

Of each order the state with the highest version is kept. Whatever came late, twice or merged, the
picture is the database's state once the newest frames have come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .frames import (
        Deleted,
        Order,
        ReplyAuthenticated,
        ReplyDeleted,
        ReplyHelp,
        ReplyMealPage,
        ReplyOrder,
        ReplyOrderPage,
        ReplyWatching,
        ServerFrame,
    )

    Reply = (
        ReplyOrder
        | ReplyDeleted
        | ReplyOrderPage
        | ReplyMealPage
        | ReplyWatching
        | ReplyAuthenticated
        | ReplyHelp
    )

# Above the version of every order.
GONE = 2**62


@dataclass(frozen=True, slots=True)
class Change:
    """What is new of the orders."""

    orders: tuple[Order, ...] = ()
    """The new states."""
    deleted: tuple[int, ...] = ()
    """The orders that are gone."""
    complete: bool = False
    """True if `orders` are all that are known, because the reader was too slow for each change."""

    def __bool__(self) -> bool:
        """Whether anything is new."""
        return bool(self.orders or self.deleted or self.complete)


class Picture:
    """The newest state of each order. The oldest ended ones are forgotten beyond the bound."""

    def __init__(self, max_ended: int) -> None:
        """Remembers so many ended orders; active ones are never forgotten."""
        self._max_ended = max_ended
        self._orders: dict[int, Order] = {}
        # The last version of what was deleted, so that a late state does not bring it back.
        self._deleted: dict[int, int] = {}
        self.cursor: str | None = None

    def get(self, order_id: int) -> Order | None:
        """Returns an order."""
        return self._orders.get(order_id)

    def orders(self) -> list[Order]:
        """Returns the orders, the newest first."""
        return sorted(self._orders.values(), key=lambda order: order["id"], reverse=True)

    def active(self) -> list[Order]:
        """Returns the orders that may still change by themselves."""
        return [order for order in self._orders.values() if is_active(order)]

    def apply(self, frame: ServerFrame) -> Change:
        """Takes in what a frame tells."""
        change = self.learn(orders_of(frame), deleted_of(frame))
        self.cursor = cast("dict[str, str]", frame).get("cursor", self.cursor)
        return change

    def learn(self, orders: Iterable[Order], deleted: Iterable[Deleted] = ()) -> Change:
        """Takes in states, from wherever they come."""
        new: list[Order] = []
        gone: list[int] = []
        for order in orders:
            held = self._orders.get(order["id"])
            known = self._deleted.get(order["id"], held["version"] if held else 0)
            if order["version"] > known:
                self._orders[order["id"]] = order
                new.append(order)
        for one in deleted:
            if self._orders.pop(one["order_id"], None):
                gone.append(one["order_id"])
            before = self._deleted.get(one["order_id"], 0)
            self._deleted[one["order_id"]] = max(one["version"], before)
        self._forget()
        return Change(tuple(new), tuple(gone))

    def drop(self, order_id: int) -> Change:
        """Takes in that an order is gone."""
        return self.learn([], [{"order_id": order_id, "version": GONE}])

    def _forget(self) -> None:
        """Forgets a tenth beyond the bound at once, so that not every frame pays for a search."""
        slack = self._max_ended + self._max_ended // 10
        if len(self._orders) > slack:
            ended = sorted(order["id"] for order in self._orders.values() if not is_active(order))
            for order_id in ended[: max(0, len(ended) - self._max_ended)]:
                del self._orders[order_id]
        if len(self._deleted) > slack:
            for order_id in list(self._deleted)[: len(self._deleted) - self._max_ended]:
                del self._deleted[order_id]


def is_active(order: Order) -> bool:
    """Returns whether an order may still change by itself."""
    return order["status"] in ("PENDING", "IN_PROGRESS")


def orders_of(frame: ServerFrame) -> list[Order]:
    """Returns the states that a frame tells."""
    if frame["type"] in ("welcome", "feed", "resync"):
        return frame["orders"]
    if frame["type"] == "order":
        return [frame["order"]]
    if frame["type"] == "error":
        return [frame["problem"]["order"]] if "order" in frame["problem"] else []
    if frame["type"] == "reply":
        return replied(frame)
    return []


def replied(frame: Reply) -> list[Order]:
    """Returns the states that an answer tells."""
    if "order" in frame:
        return [frame["order"]]
    if "items" in frame:
        return [item for item in frame["items"] if "status" in item]
    return []


def deleted_of(frame: ServerFrame) -> list[Deleted]:
    """Returns the deletions that a frame tells."""
    if frame["type"] in ("welcome", "feed", "resync"):
        return frame.get("deleted", [])
    if frame["type"] == "deleted":
        return [{"order_id": frame["order_id"], "version": frame["version"]}]
    return []
