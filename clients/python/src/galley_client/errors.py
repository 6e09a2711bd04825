"""What can go wrong: each error has a `code` for programs and a text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .frames import Order, Problem
    from .state import Cause


class GalleyError(Exception):
    """An error of this client. `code` names its kind."""

    def __init__(self, code: str, detail: str) -> None:
        """Takes the kind and a sentence."""
        super().__init__(detail)
        self.code = code


class OptionError(GalleyError, ValueError):
    """An argument that cannot be right, found before anything was sent.

    `code` is `bad-url`, `bad-option`, or `too-big` for a command above `max_sent` bytes.
    """


class ProblemError(GalleyError):
    """The gateway refused a command. `code` is the last part of the problem's type."""

    def __init__(self, problem: Problem) -> None:
        """Takes the problem as it came."""
        super().__init__(slug_of(problem), problem["detail"])
        self.problem = problem

    @property
    def order(self) -> Order | None:
        """The order as it is, if that is the reason."""
        return self.problem.get("order")


class OutboxFullError(GalleyError):
    """Too many commands wait for their answers; this one was not taken. `code` is `outbox-full`."""

    def __init__(self, bound: int) -> None:
        """Takes the bound."""
        super().__init__("outbox-full", f"{bound} commands wait for their answers already")


class ClosedError(GalleyError):
    """The connection has ended for good. `code` is that of its cause, `closed` after `close()`."""

    def __init__(self, cause: Cause) -> None:
        """Takes the cause."""
        super().__init__(cause.code, cause.detail)
        self.cause = cause


class LateError(GalleyError, TimeoutError):
    """What was waited for did not come within the `timeout`. `code` is `timeout`."""

    def __init__(self, detail: str) -> None:
        """Takes a sentence."""
        super().__init__("timeout", detail)


def slug_of(problem: Problem) -> str:
    """Returns the last part of a problem's type: `already-finished`."""
    return problem["type"].rpartition("/")[2]
