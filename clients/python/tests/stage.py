"""What the tests stand on: a real service, and a stand-in that gives rare hints on demand."""

import asyncio
import faulthandler
import json
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

# A test that hangs fails, and says where.
faulthandler.dump_traceback_later(60, exit=True)

PROGRAM = Path(__file__).parents[3] / "target" / "debug" / "galley"

Frame = dict[str, Any]


@asynccontextmanager
async def galley(*options: str) -> AsyncIterator[str]:
    """Runs a service of the test's own, and gives its address."""
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            "--listen",
            "127.0.0.1:0",
            *options,
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            assert process.stdout
            line = await process.stdout.readline()
            yield line.decode().strip().removeprefix("listening on ")
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()


def problem(slug: str, **more: object) -> Frame:
    told = {"type": f"/problems/{slug}", "title": slug, "status": 429, "detail": slug, **more}
    return {"type": "error", "problem": told}


def welcome(**more: object) -> Frame:
    return {"type": "welcome", "resume": "fresh", "orders": [], "help": "", **more}


def order(order_id: int, version: int, status: str = "PENDING") -> Any:
    return {"id": order_id, "version": version, "status": status, "reason": None}


class StandIn:
    """A gateway that answers each command as the test says, or not at all."""

    def __init__(self, answer: Callable[[Frame], Frame | None]) -> None:
        self.answer = answer
        # What each connection begins with: a frame, or the code with which it is closed.
        self.first: Callable[[int], Frame | int] = lambda _: welcome()
        self.paths: list[str] = []
        self.tokens: list[str | None] = []
        self.heard: list[Frame] = []
        self.news = asyncio.Condition()
        self.sockets: list[ServerConnection] = []
        self.url = ""

    async def until_heard(self, count: int) -> None:
        async with self.news:
            await self.news.wait_for(lambda: len(self.heard) >= count)

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request
        self.paths.append(socket.request.path)
        self.tokens.append(socket.request.headers.get("Authorization"))
        self.sockets.append(socket)
        first = self.first(len(self.paths))
        if isinstance(first, int):
            await socket.close(first)
            return
        await socket.send(json.dumps(first))
        with suppress(ConnectionClosed):
            async for line in socket:
                frame = json.loads(line)
                async with self.news:
                    self.heard.append(frame)
                    self.news.notify_all()
                answer = self.answer(frame)
                if answer is not None:
                    await socket.send(json.dumps({"id": frame.get("id"), **answer}))


@asynccontextmanager
async def stand_in(answer: Callable[[Frame], Frame | None]) -> AsyncIterator[StandIn]:
    gateway = StandIn(answer)
    async with serve(gateway.serve, "127.0.0.1", 0, close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        gateway.url = f"http://127.0.0.1:{port}"
        yield gateway
