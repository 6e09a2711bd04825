"""Obeys the behaviour suite of all clients, `tests/clients`: lines of JSON in and out."""

import asyncio
import json
import sys
import time
from typing import Any

from galley_client import Backoff, Change, FileKeeper, Galley, GalleyError, ServerFrame, State

Message = dict[str, Any]


def say(message: Message) -> None:
    sys.stdout.write(f"{json.dumps(message)}\n")
    sys.stdout.flush()


def tell(event: str, **more: object) -> None:
    say({"event": event, "at": time.time() * 1_000, **more})


class Driver:
    """One client, and what it is asked for."""

    galley: Galley

    async def open(self, url: str, **more: Any) -> None:
        tokens: list[str] = more.get("tokens", [])
        store = more.get("store")

        def token() -> str:
            return tokens.pop(0) if len(tokens) > 1 else tokens[0]

        self.galley = Galley(
            url,
            hero_id=more.get("hero_id"),
            token=token if tokens else None,
            keeper=FileKeeper(store) if store else None,
            tls=more.get("ca"),
            backoff=Backoff(base=0.02, cap=0.1),
            max_waiting=more.get("max_waiting", 100),
        )
        self.galley.on_state(self.state)
        self.galley.on_change(self.change)
        self.galley.on_frame(self.frame)
        await self.galley.connect()

    def state(self, state: State) -> None:
        cause = state.cause.code if state.cause else None
        tell("state", name=state.name, cause=cause)

    def change(self, change: Change) -> None:
        tell("change", orders=change.orders, deleted=change.deleted)

    def frame(self, frame: ServerFrame) -> None:
        tell("frame", frame=frame)

    async def do(self, what: str, more: Message) -> object:
        match what:
            case "ready":
                return None
            case "open":
                await self.open(**more)
                return None
            case "orders":
                return self.galley.orders
            case "place" | "cancel" | "delete" | "get" | "watch" | "close":
                return await getattr(self.galley, what)(**more)
            case _:
                raise ValueError(what)

    async def obey(self, line: bytes) -> None:
        request = json.loads(line)
        command_id, what = request.pop("id"), request.pop("do")
        try:
            say({"id": command_id, "ok": await self.do(what, request)})
        except GalleyError as error:
            say({"id": command_id, "error": error.code})


async def main() -> None:
    driver = Driver()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with asyncio.TaskGroup() as tasks:
        while line := await reader.readline():
            tasks.create_task(driver.obey(line))
        if hasattr(driver, "galley"):
            await driver.galley.close()


if __name__ == "__main__":
    asyncio.run(main())
