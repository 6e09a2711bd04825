"""What a healthy gateway does rarely, from a stand-in that does it on demand."""

import asyncio
import json
import time
import unittest
from typing import Any

from galley_client import (
    Backoff,
    ClosedError,
    Galley,
    GalleyError,
    LateError,
    MemoryKeeper,
    OptionError,
    OutboxFullError,
    ProblemError,
)
from stage import Frame, order, problem, stand_in, welcome

QUICK = Backoff(base=0.001, cap=0.002)


def pong(_: Frame) -> Frame:
    return {"type": "pong"}


def silent(_: Frame) -> None:
    return None


class Hints(unittest.IsolatedAsyncioTestCase):
    async def test_a_command_that_came_too_fast_is_said_again_when_asked_for(self) -> None:
        times: list[float] = []

        def answer(_: Frame) -> Frame:
            times.append(time.monotonic())
            if len(times) == 1:
                return problem("rate-limited", retry_after_ms=200)
            return {"type": "pong"}

        async with stand_in(answer) as gateway, Galley(gateway.url, backoff=QUICK) as galley:
            await galley.ping()
        self.assertGreaterEqual(times[1] - times[0], 0.199)

    async def test_a_command_that_is_deferred_without_end_fails_in_the_end(self) -> None:
        async with stand_in(lambda _: problem("overloaded")) as gateway:
            async with Galley(gateway.url, backoff=QUICK) as galley:
                with self.assertRaises(ProblemError) as raised:
                    await galley.ping()
        self.assertEqual((raised.exception.code, len(gateway.heard)), ("overloaded", 11))

    async def test_a_gateway_may_lie_under_a_path(self) -> None:
        async with stand_in(pong) as gateway:
            for path in ("", "/", "/galley", "/apps/galley/"):
                async with Galley(gateway.url + path, hero_id=7):
                    pass
        expected = ["/ws", "/ws", "/galley/ws", "/apps/galley/ws"]
        self.assertEqual(gateway.paths, [f"{path}?hero_id=7" for path in expected])

    async def test_a_token_is_asked_for_anew_and_given_up_when_a_new_one_does_not_help(
        self,
    ) -> None:
        tokens = iter(["token-1", "token-2", "token-3"])
        async with stand_in(pong) as gateway:
            gateway.first = lambda _: 4401
            galley = Galley(gateway.url, token=lambda: next(tokens), backoff=QUICK)
            with self.assertRaises(ClosedError) as raised:
                await galley.connect()
        self.assertEqual(raised.exception.code, "unauthorized")
        self.assertEqual(gateway.tokens, ["Bearer token-1", "Bearer token-2"])

    async def test_a_provider_that_fails_is_asked_again(self) -> None:
        given: list[Any] = [ValueError("no token"), "two\r\nlines", "good"]

        async def token() -> str:
            value = given.pop(0)
            if isinstance(value, Exception):
                raise value
            return str(value)

        async with stand_in(pong) as gateway:
            states: list[str] = []
            galley = Galley(gateway.url, token=token, backoff=QUICK)
            galley.on_state(lambda state: states.append(state.cause.code if state.cause else "-"))
            async with galley:
                await galley.ping()
        self.assertEqual(states[:6], ["-", "unauthorized", "-", "unauthorized", "-", "-"])
        self.assertEqual(gateway.tokens, ["Bearer good"])

    async def test_a_cursor_is_handed_back_and_a_code_that_says_so_is_an_end(self) -> None:
        async with stand_in(silent) as gateway:
            gateway.first = lambda time: welcome(cursor="r7d0.7") if time == 1 else 4403
            async with Galley(gateway.url, hero_id=4, backoff=QUICK) as galley:
                changes = galley.changes()
                waiting = asyncio.create_task(galley.place(2))
                gateway.sockets[0].transport.abort()
                for call in (waiting, anext(changes), galley.ping()):
                    with self.assertRaises(ClosedError) as raised:
                        await call
                    self.assertEqual(raised.exception.code, "forbidden")
        self.assertEqual(gateway.paths, ["/ws?hero_id=4", "/ws?hero_id=4&cursor=r7d0.7"])

    async def test_calls_after_the_end_raise(self) -> None:
        async with stand_in(pong) as gateway:
            galley = Galley(gateway.url)
            async with galley:
                changes = galley.changes()
            self.assertEqual([change async for change in changes], [])
            calls = (galley.connect, galley.ping, galley.menu, galley.renew)
            for call in calls:
                with self.assertRaises(ClosedError) as raised:
                    await call()
                self.assertEqual(raised.exception.code, "closed")
            for again in (galley.changes, galley.retry_now, galley.check):
                with self.assertRaises(ClosedError):
                    again()
            await galley.close()

    async def test_a_connection_that_never_comes_is_an_error_in_time_that_says_why(self) -> None:
        async with stand_in(pong) as gateway:
            url = gateway.url
        with self.assertRaises(LateError) as raised:
            async with Galley(url, connect_timeout=0.1, backoff=QUICK):
                pass
        self.assertIsInstance(raised.exception, TimeoutError)
        self.assertIn("nobody answers", str(raised.exception))

    async def test_a_listener_that_throws_never_ends_the_connection(self) -> None:
        def throw(_: object) -> None:
            raise RuntimeError("a mistake of the listener")

        def answer(_: Frame) -> Frame:
            return {"type": "reply", "order": order(1, 1)}

        async with stand_in(answer) as gateway:
            galley = Galley(gateway.url)
            for listen in (galley.on_state, galley.on_change, galley.on_frame):
                listen(throw)
            with self.assertLogs("galley_client", "ERROR") as logged:
                async with galley:
                    await galley.get(1)
            self.assertEqual((len(gateway.paths), len(galley.orders)), (1, 1))
            self.assertGreaterEqual(len(logged.records), 4)

    async def test_a_frame_that_cannot_be_read_is_passed_over(self) -> None:
        async with stand_in(pong) as gateway, Galley(gateway.url) as galley:
            with self.assertLogs("galley_client", "WARNING") as logged:
                lines = ("rubbish", "[]", "{}", '{"type":"order"}', "[" * 100_000)
                for line in (*lines, '{"type":"later","new":1}'):
                    await gateway.sockets[0].send(line)
                await galley.ping()
            self.assertEqual((len(logged.records), len(gateway.paths)), (len(lines), 1))

    async def test_a_frame_above_the_bound_ends_the_connection_and_says_so(self) -> None:
        async with stand_in(pong) as gateway:
            gateway.first = lambda _: welcome(help="x" * 5_000)
            with self.assertRaises(ClosedError) as raised:
                await Galley(gateway.url, max_frame=4_000).connect()
        self.assertEqual(raised.exception.code, "too-big")

    async def test_a_command_above_the_bound_is_refused_and_the_connection_lives_on(self) -> None:
        keeper = MemoryKeeper()
        async with stand_in(pong) as gateway, Galley(gateway.url, keeper=keeper) as galley:
            for key in ("x" * 20_000, "é" * 10_000):
                with self.assertRaises(OptionError) as raised:
                    await galley.place(1, key=key)
                self.assertEqual(raised.exception.code, "too-big")
            with self.assertRaises(ValueError):
                await galley.cancel(1, "\ud800")
            await galley.ping()
            self.assertEqual((keeper.all(), galley.pending, len(gateway.paths)), ([], [], 1))

    async def test_at_the_bound_a_command_is_refused_and_kept_nowhere(self) -> None:
        keeper = MemoryKeeper()
        galley = Galley("http://127.0.0.1:1", max_waiting=2, keeper=keeper)
        early = [asyncio.create_task(galley.place(1)) for _ in range(2)]
        await asyncio.sleep(0)
        with self.assertRaises(OutboxFullError) as raised:
            await galley.place(1)
        self.assertEqual((raised.exception.code, len(keeper.all())), ("outbox-full", 2))
        await galley.close()
        ended = await asyncio.gather(*early, return_exceptions=True)
        self.assertEqual(
            [one.code for one in ended if isinstance(one, GalleyError)], ["closed"] * 2
        )
        self.assertEqual(len(keeper.all()), 2, "they are placed by the next life")

    async def test_a_call_that_is_given_up_before_it_was_sent_is_never_sent(self) -> None:
        keeper = MemoryKeeper()
        async with stand_in(pong) as gateway:
            galley = Galley(gateway.url, keeper=keeper)
            with self.assertRaises(LateError):
                await galley.place(1, timeout=0.01)
            task = asyncio.create_task(galley.cancel(1))
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual((galley.pending, keeper.all()), ([], []))
            async with galley:
                await galley.ping()
        self.assertEqual([frame["type"] for frame in gateway.heard], ["ping"])

    async def test_a_call_that_is_given_up_is_not_sent_again_and_its_key_finds_the_order(
        self,
    ) -> None:
        answers: list[Frame | None] = [None, {"type": "reply", "order": order(7, 1)}]
        async with stand_in(lambda _: answers.pop(0)) as gateway:
            async with Galley(gateway.url, timeout=0.1, backoff=QUICK) as galley:
                with self.assertRaises(LateError):
                    await galley.place(1, key="lunch")
                gateway.sockets[0].transport.abort()
                placed = await galley.place(1, key="lunch", timeout=5)
        self.assertEqual((placed["id"], len(gateway.paths)), (7, 2))
        self.assertEqual([frame["key"] for frame in gateway.heard], ["lunch", "lunch"])

    async def test_commands_are_sent_again_after_a_loss_with_the_same_key(self) -> None:
        async with stand_in(silent) as gateway:
            async with Galley(gateway.url, backoff=QUICK) as galley:
                calls = [asyncio.create_task(galley.place(1)) for _ in range(3)]
                await galley.until(lambda galley: len(galley.pending) == 3)
                await gateway.until_heard(3)
                gateway.answer = lambda _: {"type": "reply", "order": order(1, 1)}
                gateway.sockets[0].transport.abort()
                await asyncio.gather(*calls)
        keys = [frame["key"] for frame in gateway.heard]
        self.assertEqual((len(set(keys)), sorted(keys[:3])), (3, sorted(keys[3:])))

    async def test_what_no_cursor_told_is_read_again(self) -> None:
        def answer(frame: Frame) -> Frame:
            # The page passes 4, which is gone, and does not reach 2 and 1.
            if frame["type"] == "orders":
                items = [order(5, 2, "IN_PROGRESS"), order(3, 3, "COMPLETED")]
                return {"type": "reply", "items": items, "next_cursor": "more"}
            if frame["order_id"] == 1:
                return {"type": "reply", "order": order(1, 3, "COMPLETED")}
            return problem("order-not-found")

        def first(time: int) -> Frame:
            return welcome(orders=[order(number, 1) for number in range(1, 6)] if time == 1 else [])

        async with stand_in(answer) as gateway:
            gateway.first = first
            async with Galley(gateway.url, backoff=QUICK, max_waiting=1) as galley:
                gateway.sockets[0].transport.abort()
                await galley.until(lambda galley: len(galley.orders) == 3, timeout=5)
        self.assertEqual(
            [(one["id"], one["version"]) for one in galley.orders], [(5, 2), (3, 3), (1, 3)]
        )

    async def test_staff_watches_again_after_a_loss_where_it_stood(self) -> None:
        totals = dict.fromkeys(("PENDING", "IN_PROGRESS", "COMPLETED", "CANCELLED"), 1)

        def answer(_: Frame) -> Frame:
            return {"type": "reply", "watching": True, "totals": totals, "cursor": "r5"}

        async with stand_in(answer) as gateway:
            async with Galley(gateway.url, backoff=QUICK) as galley:
                self.assertEqual(await galley.watch(["PENDING"], max_rate=5), totals)
                feed = {"type": "feed", "orders": [order(3, 1)], "totals": {**totals, "PENDING": 2}}
                await gateway.sockets[0].send(json.dumps(feed))
                await galley.until(lambda galley: bool(galley.orders))
                self.assertEqual(galley.totals, feed["totals"])
                gateway.sockets[0].transport.abort()
                await gateway.until_heard(2)
        again = gateway.heard[1]
        self.assertEqual(
            again, {"type": "watch", "status": ["PENDING"], "max_rate": 5, "cursor": "r5"}
        )


if __name__ == "__main__":
    unittest.main()
