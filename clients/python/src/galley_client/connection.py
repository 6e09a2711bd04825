"""One connection that comes back by itself, as the gateway's hints and close codes ask for.

One task opens socket after socket and reads. While a socket is open, a second task writes what the
outbox hands out, and a third one asks the gateway whether it is there when it is silent. Both end
with the socket.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from .handshake import MAX_HINT, Ending, ended, refused
from .state import Cause, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from .address import Address
    from .backoff import Backoff
    from .outbox import Outbox
    from .renewal import Renewal

log = logging.getLogger(__name__)
# At DEBUG the library logs headers and frames, tokens among them: never.
socket_log = logging.getLogger(f"{__name__}.socket")
socket_log.setLevel(logging.INFO)

# A handshake may take so many seconds, and so may the welcome after it.
HANDSHAKE = 10.0
# After so much silence the gateway is asked whether it is there.
SILENCE = 25.0
# A command that waits for its answer makes silence suspicious much sooner.
PATIENCE = 2.0
# After so much silence following the question, the gateway counts as not answering.
DOUBT = 2.0
# After so much more, the connection is given up and made anew.
GIVE_UP = 6.0
# A connection that held so long was a good one: the next loss begins with a short pause again.
GOOD = 5.0
# The other side may take so long to close; then the connection is cut.
CLOSING = 1.0
# Frames that wait to be read. The reader only sorts them, so that these are few.
MAX_QUEUE = 4
PING = '{"type":"ping"}'


class Connection:
    """A connection, and where it stands."""

    def __init__(
        self,
        address: Address,
        outbox: Outbox,
        renewal: Renewal,
        *,
        backoff: Backoff,
        max_frame: int,
        cursor: Callable[[], str | None],
        on_state: Callable[[State], None],
        on_line: Callable[[str], None],
    ) -> None:
        """Takes what it connects; nothing happens before `open`."""
        self._address = address
        self._outbox = outbox
        self._renewal = renewal
        self._backoff = backoff
        self._max_frame = max_frame
        self._cursor = cursor
        self._on_state = on_state
        self._on_line = on_line
        self._task: asyncio.Task[None] | None = None
        self._socket: ClientConnection | None = None
        self._attempt = 0
        self._welcomed_before = False
        # The last attempt failed for its token: another one is tried once.
        self._token_failed = False
        self._retry = asyncio.Event()
        # When a command went out after which nothing came.
        self._asked_at: float | None = None
        # When the gateway asked to come back, should it close the connection.
        self._hint_at: float | None = None
        self.state = State("idle")
        self.last_cause: Cause | None = None
        self._begin()

    def open(self) -> None:
        """Begins."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self, cause: Cause) -> None:
        """Ends for good."""
        if self.state.name == "closed":
            return
        self._enter(State("closed", cause))
        if self._task:
            self._task.cancel()
            _ = await asyncio.wait([self._task])

    def welcomed(self) -> None:
        """The welcome has come."""
        self._welcome.set()
        self._welcomed_before = True
        self._token_failed = False
        self._outbox.begin()
        self._enter(State("connected"))

    def hint(self, seconds: float) -> None:
        """The gateway leaves: come back after so many seconds."""
        self._hint_at = time.monotonic() + min(seconds, MAX_HINT)

    def check(self) -> None:
        """Asks whether the gateway is there."""
        if self.state.name == "connected":
            self._asked_at = time.monotonic() - PATIENCE
            self._stir.set()

    def retry_now(self) -> None:
        """Does not wait for the end of a pause, nor for a gateway that does not answer."""
        if self.state.name in ("waiting", "unresponsive"):
            self._retry.set()
        if self.state.name == "unresponsive":
            self._give_up("the gateway did not answer")

    async def _run(self) -> None:
        """Opens socket after socket until the end."""
        try:
            while (pause := self._pause(await self._one())) is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        _ = await self._retry.wait()
        except Exception as error:
            log.exception("the client of Galley made a mistake")
            self._enter(State("closed", Cause("failed", repr(error))))

    def _pause(self, ending: Ending) -> float | None:
        """Returns the seconds after which to come back; None if it is the end."""
        useless = ending.advice == "new-token" and self._token_failed
        if ending.advice == "no" or useless:
            self._enter(State("closed", ending.cause))
            return None
        self._token_failed = ending.advice == "new-token"
        # Never shorter than the gateway asked for.
        pause = ending.at_least + self._backoff.pause(self._attempt)
        self._attempt += 1
        self._enter(State("waiting", ending.cause, self._attempt, time.time() + pause))
        return pause

    def _begin(self) -> None:
        """Knows nothing of the next socket yet."""
        now = time.monotonic()
        self._opened_at = now
        self._heard_at = now
        self._asked_at = None
        self._hint_at = None
        self._ending: Ending | None = None
        self._welcome = asyncio.Event()
        # Something came.
        self._sign = asyncio.Event()
        # Something came, or was asked.
        self._stir = asyncio.Event()

    async def _one(self) -> Ending:
        """Opens one socket and reads it to its end."""
        self._retry.clear()
        self._begin()
        self._enter(State("connecting", attempt=self._attempt))
        try:
            token = await self._renewal.first()
        except Exception as error:
            log.debug("no token", exc_info=True)
            return Ending(Cause("unauthorized", f"no token could be had: {error!r}"), "back-off")
        try:
            socket = await connect(
                self._address.at(self._cursor()),
                ssl=self._address.tls,
                subprotocols=[Subprotocol("galley.v1")],
                additional_headers={"Authorization": f"Bearer {token}"} if token else None,
                compression=None,
                open_timeout=HANDSHAKE,
                ping_interval=None,
                close_timeout=CLOSING,
                max_size=self._max_frame,
                max_queue=MAX_QUEUE,
                logger=socket_log,
            )
        except Exception as error:
            renewable = self._renewal.possible
            return refused(error, renewable=renewable, welcomed_before=self._welcomed_before)
        return await self._listen(socket)

    async def _listen(self, socket: ClientConnection) -> Ending:
        """Reads a socket to its end."""
        self._socket = socket
        self._opened_at = self._heard_at = time.monotonic()
        tasks = [asyncio.create_task(self._speak(socket)), asyncio.create_task(self._watch_over())]
        try:
            while True:
                self._hear(await socket.recv())
        except ConnectionClosed as closed:
            ending = self._ending or ended(closed, self._max_frame)
        finally:
            self._socket = None
            self._outbox.stop()
            self._renewal.stop()
            for task in tasks:
                task.cancel()
            await socket.close()
            _ = await asyncio.wait(tasks)
        now = time.monotonic()
        if self._welcome.is_set() and now - self._opened_at > GOOD:
            self._attempt = 0
        hint = max(0.0, self._hint_at - now) if self._hint_at else 0.0
        return Ending(ending.cause, ending.advice, hint)

    async def _speak(self, socket: ClientConnection) -> None:
        """Writes what the outbox hands out."""
        with suppress(ConnectionClosed):
            while True:
                line = await self._outbox.next()
                if self._asked_at is None and line != PING:
                    self._asked_at = time.monotonic()
                    self._stir.set()
                await socket.send(line)

    def _hear(self, data: str | bytes) -> None:
        """Whatever comes is a sign of life."""
        self._heard_at = time.monotonic()
        self._asked_at = self._heard_at if len(self._outbox) else None
        self._sign.set()
        self._stir.set()
        if self.state.name == "unresponsive":
            self._enter(State("connected"))
        if isinstance(data, str):
            self._on_line(data)

    async def _watch_over(self) -> None:
        """Looks whether the other side still lives: asks first, and only then gives up."""
        try:
            async with asyncio.timeout(HANDSHAKE):
                _ = await self._welcome.wait()
        except TimeoutError:
            self._give_up("no welcome came")
            return
        while True:
            await self._until_suspicious()
            self._outbox.say("ping", PING)
            if not await self._nothing_for(DOUBT):
                continue
            self._enter(State("unresponsive"))
            if await self._nothing_for(GIVE_UP):
                self._give_up("nothing came for too long")
                return

    async def _until_suspicious(self) -> None:
        """Returns when nothing came for too long."""
        while True:
            if self._asked_at is None:
                until = self._heard_at + SILENCE
            else:
                until = self._asked_at + PATIENCE
            left = until - time.monotonic()
            if left <= 0:
                return
            self._stir.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    _ = await self._stir.wait()

    async def _nothing_for(self, seconds: float) -> bool:
        """Returns whether nothing comes for so long; otherwise returns as soon as it comes."""
        self._sign.clear()
        try:
            async with asyncio.timeout(seconds):
                _ = await self._sign.wait()
        except TimeoutError:
            return True
        return False

    def _give_up(self, why: str) -> None:
        """Cuts the connection, without waiting for the other side: it may be gone."""
        self._ending = Ending(Cause("silent", why), "back-off")
        if self._socket:
            self._socket.transport.abort()

    def _enter(self, state: State) -> None:
        """Changes the state; `closed` is the last one."""
        if self.state.name != "closed":
            self.state = state
            self.last_cause = state.cause or self.last_cause
            self._on_state(state)
