"""Where a connection stands, and why."""

from dataclasses import dataclass
from typing import Literal

CauseCode = Literal[
    "unreachable",  # nobody answers at the address
    "untrusted",  # the certificate of the gateway is not trusted
    "lost",  # the connection broke off
    "silent",  # nothing came for too long
    "restart",  # the gateway restarts
    "busy",  # the gateway is too busy, or leaves
    "unauthorized",  # the token is missing or has expired
    "forbidden",  # not allowed here
    "hero-not-found",  # there is no such hero
    "refused",  # the gateway closed the connection for good, or no gateway is there
    "too-big",  # a frame was larger than `max_frame`
    "failed",  # a mistake of this client
    "closed",  # the client was closed
]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why there is no connection, for programs and for people."""

    code: CauseCode
    detail: str


@dataclass(frozen=True, slots=True)
class State:
    """Where the connection stands.

    `unresponsive`: the connection is there, and the gateway has not answered for a few seconds.
    Commands are still sent, and wait. `waiting`: it is tried again at `retry_at`. `closed`: it has
    ended for good.
    """

    name: Literal["idle", "connecting", "connected", "unresponsive", "waiting", "closed"]
    cause: Cause | None = None
    """Why, for `waiting` and `closed`."""
    attempt: int = 0
    """How many attempts have failed in a row."""
    retry_at: float | None = None
    """When it is tried again, as `time.time()` counts, for `waiting`."""

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that takes commands."""
        return self.name in ("connected", "unresponsive")
