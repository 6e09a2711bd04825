"""The token of a connection, and of an open one before it expires."""

from __future__ import annotations

import asyncio
import inspect
import random
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from .outbox import encoded

if TYPE_CHECKING:
    from .frames import ServerFrame
    from .outbox import Outbox

TokenProvider = Callable[[], str | Awaitable[str | None] | None]

# The id of the `auth` command; those of the outbox are numbers.
ID = "renewal"
# A provider may take so long, in seconds.
PATIENCE = 10.0
# The characters of tokens (RFC 6750 section 2.1).
TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class Renewal:
    """Asks the provider for tokens, and shows them to the gateway."""

    def __init__(self, provider: TokenProvider | str | None, outbox: Outbox) -> None:
        """Takes a provider, or one token for all time."""
        self._provider = (lambda: provider) if isinstance(provider, str) else provider
        self._outbox = outbox
        self._task: asyncio.Task[None] | None = None
        # The token that the gateway has.
        self._shown: str | None = None
        self._answer: asyncio.Future[bool] | None = None

    @property
    def possible(self) -> bool:
        """Whether there are tokens."""
        return self._provider is not None

    async def first(self) -> str | None:
        """Returns the token for a new connection. Raises what the provider raises."""
        self._shown = await self._token()
        return self._shown

    def expiring(self, seconds: float) -> None:
        """The token expires after so many seconds.

        A new one is asked for when a quarter to a half of them has passed: not all at once.
        """
        self._stop_task()
        self._task = asyncio.create_task(self._later(seconds * random.uniform(0.25, 0.5)))  # noqa: S311 - no secret

    async def renew(self) -> bool:
        """Shows the gateway the provider's token if it has another one; whether it was taken."""
        token = await self._token()
        if not token or token == self._shown:
            return False
        if not self._outbox.say("auth", encoded({"type": "auth", "id": ID, "token": token})):
            return False
        self._shown = token
        self._settle(taken=False)
        self._answer = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._answer)

    def hear(self, frame: ServerFrame) -> None:
        """Takes an answer of the gateway, to this or to another command."""
        if frame["type"] in ("reply", "error") and frame.get("id") == ID:
            self._settle(taken=frame["type"] == "reply")

    def stop(self) -> None:
        """The connection is gone."""
        self._stop_task()
        self._settle(taken=False)

    async def _token(self) -> str | None:
        if self._provider is None:
            return None
        given = self._provider()
        if inspect.isawaitable(given):
            async with asyncio.timeout(PATIENCE):
                given = await given
        if given is not None and not (isinstance(given, str) and TOKEN.fullmatch(given)):
            # Not repeated in the text: it may be a secret.
            raise ValueError("what the provider gave is no token")
        return given

    async def _later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        # Without a new token the gateway closes with 4401, and the connection comes back as after
        # any loss.
        with suppress(Exception):
            _ = await self.renew()

    def _stop_task(self) -> None:
        if self._task:
            self._task.cancel()
        self._task = None

    def _settle(self, *, taken: bool) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_result(taken)
        self._answer = None
