"""How long to wait before trying again."""

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Bounds of pauses, in seconds."""

    base: float = 0.25
    """The bound of the first pause; it doubles with each attempt."""
    cap: float = 10.0
    """The bound of every pause."""

    def pause(self, attempt: int, jitter: Callable[[], float] = random.random) -> float:
        """Returns a pause with full jitter: anything from nothing to the bound.

        So the clients of a restarted gateway spread over the whole time instead of coming in waves.
        """
        return jitter() * min(self.cap, self.base * 2.0 ** min(attempt, 30))
