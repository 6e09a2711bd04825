"""What needs no gateway."""

import asyncio
import ssl
import tempfile
import unittest
from pathlib import Path
from typing import Any

from galley_client import Backoff, Change, FileKeeper, Galley, Kept, OptionError
from galley_client.changes import Changes
from galley_client.keeper import MAX_KEPT, MemoryKeeper
from galley_client.picture import Picture
from stage import order


class Alone(unittest.IsolatedAsyncioTestCase):
    def test_pauses_have_full_jitter_and_a_bound(self) -> None:
        backoff = Backoff(base=0.1, cap=1.0)
        self.assertEqual(backoff.pause(3, lambda: 0.0), 0.0)
        longest = [backoff.pause(attempt, lambda: 1.0) for attempt in (0, 1, 2, 3, 4, 4_000)]
        self.assertEqual(longest, [0.1, 0.2, 0.4, 0.8, 1.0, 1.0])

    def test_an_address_that_cannot_be_right_is_an_error_at_once(self) -> None:
        for url in (
            *("", "nonsense", "127.0.0.1:8080", "ftp://host", "http://", "http://:80"),
            *("http://host:0", "http://host:99999", "http://[::1", "http://ho st", "http://h\nost"),
            *("http://me:secret@host", "http://host/?hero_id=4", "http://host/#top"),
        ):
            with self.assertRaises(OptionError, msg=url) as raised:
                Galley(url)
            self.assertEqual(raised.exception.code, "bad-url", url)
            self.assertNotIn("secret", str(raised.exception))
        for url in ("http://host", "https://host:1/a/", "ws://[::1]:8080", "wss://host/galley"):
            Galley(url)

    def test_options_that_cannot_be_right_are_an_error_at_once(self) -> None:
        with tempfile.NamedTemporaryFile() as empty:
            wrong: list[tuple[str, dict[str, Any]]] = [
                ("http://host", {"hero_id": 0}),
                ("http://host", {"hero_id": True}),
                ("http://host", {"hero_id": 2**53}),
                ("http://host", {"max_waiting": 0}),
                ("http://host", {"tls": ssl.create_default_context()}),
                ("https://host", {"tls": "/nowhere/ca.pem"}),
                ("https://host", {"tls": empty.name}),
            ]
            for url, options in wrong:
                with self.assertRaises(OptionError) as raised:
                    Galley(url, **options)
                self.assertEqual(raised.exception.code, "bad-option")
        Galley("https://host", tls=ssl.create_default_context())

    def test_whatever_comes_late_or_twice_the_highest_version_is_kept(self) -> None:
        states = [order(1, 1), order(1, 2, "IN_PROGRESS"), order(1, 3, "COMPLETED")]
        for sequence in ((0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 2, 1)):
            picture = Picture(10)
            for which in sequence:
                picture.apply({"type": "order", "order": states[which], "cursor": "r1"})
            self.assertEqual(picture.orders(), [states[2]])
        picture.apply({"type": "deleted", "order_id": 1, "version": 4, "cursor": "r2"})
        self.assertFalse(picture.apply({"type": "order", "order": states[2], "cursor": "r3"}))
        self.assertEqual((picture.orders(), picture.cursor), ([], "r3"))

    def test_ended_orders_are_forgotten_at_the_bound_and_active_ones_never(self) -> None:
        picture = Picture(10)
        picture.learn([order(number, 1) for number in range(1, 21)])
        self.assertEqual(len(picture.orders()), 20)
        picture.learn([order(number, 3, "COMPLETED") for number in range(1, 20)])
        self.assertEqual([one["id"] for one in picture.orders()], list(range(20, 9, -1)))

    async def test_a_reader_that_falls_behind_gets_the_newest_states_instead(self) -> None:
        picture = Picture(10)
        changes = Changes(picture.orders, 2)
        for version in (1, 2, 3):
            changes.put(picture.learn([order(1, version), order(2, version)]))
        first = await anext(changes)
        self.assertTrue(first.complete)
        self.assertEqual([(one["id"], one["version"]) for one in first.orders], [(2, 3), (1, 3)])
        changes.put(Change(deleted=(1,)))
        changes.end(None)
        self.assertEqual([change.deleted async for change in changes], [(1,)])

    async def test_a_reader_that_is_cancelled_while_it_waits_loses_nothing(self) -> None:
        changes = Changes(list, 10)
        with self.assertRaises(TimeoutError):
            await asyncio.wait_for(anext(changes), 0)
        changes.put(Change(deleted=(7,)))
        self.assertEqual((await anext(changes)).deleted, (7,))

    def test_a_file_keeps_placements_for_the_next_life_of_the_program(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "orders.json"
            keeper = FileKeeper(path)
            kept = [Kept(f"key {number}", number, 12.5) for number in range(3)]
            for one in kept:
                keeper.keep(one)
            keeper.forget("key 1")
            self.assertEqual(FileKeeper(path).all(), [kept[0], kept[2]])
            for rubbish in ("", "[7]", '{"a": 1}', "\0"):
                path.write_text(rubbish)
                with self.assertLogs("galley_client", "WARNING"):
                    self.assertEqual(FileKeeper(path).all(), [])
            with self.assertLogs("galley_client", "WARNING"):
                FileKeeper(Path(folder) / "missing" / "orders.json").keep(kept[0])

    def test_a_keeper_forgets_the_oldest_at_its_bound(self) -> None:
        keeper = MemoryKeeper()
        for number in range(MAX_KEPT + 1):
            keeper.keep(Kept(str(number), 1, 0.0))
        self.assertEqual((len(keeper.all()), keeper.all()[0].key), (MAX_KEPT, "1"))


if __name__ == "__main__":
    unittest.main()
