"""The client with the real service."""

import asyncio
import re
import sys
import tempfile
import unittest
from pathlib import Path

from galley_client import Galley, ProblemError
from stage import galley

PACKAGE = Path(__file__).parents[1]


class Gateway(unittest.IsolatedAsyncioTestCase):
    async def run_python(self, *arguments: str, folder: Path = PACKAGE) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
        self.assertEqual(process.returncode, 0, said)
        return said

    async def test_the_types_are_what_the_gateway_says_about_itself(self) -> None:
        async with galley("--no-seed") as url:
            await self.run_python("scripts/generate.py", "--check", url)

    async def test_the_example_of_the_readme_runs(self) -> None:
        blocks = re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
        self.assertEqual(len(blocks), 1)
        async with galley("--processing-delay", "0s") as url:
            example = blocks[0].replace("http://127.0.0.1:8080", url)
            self.assertIn(url, example)
            with tempfile.TemporaryDirectory() as folder:
                said = await self.run_python("-c", example, folder=Path(folder))
        for expected in ("connection: connected", "order 1 COMPLETED", "2 orders"):
            self.assertIn(expected, said)

    async def test_each_command_has_its_answer(self) -> None:
        async with galley("--processing-delay", "1h") as url, Galley(url, hero_id=4) as client:
            self.assertEqual(client.hero and client.hero["id"], 4)
            meal = (await client.menu())["items"][0]["id"]
            placed = await client.place(meal, key="lunch")
            self.assertEqual((await client.place(meal, key="lunch"))["id"], placed["id"])
            self.assertEqual([one["id"] for one in (await client.page())["items"]], [placed["id"]])
            self.assertEqual((await client.get(placed["id"]))["id"], placed["id"])
            cancelled = await client.cancel(placed["id"], "changed my mind")
            self.assertEqual(cancelled["reason"], "hero_request")
            with self.assertRaises(ProblemError) as raised:
                await client.cancel(placed["id"])
            self.assertEqual(raised.exception.code, "already-finished")
            self.assertEqual(raised.exception.order, cancelled)
            await client.delete(placed["id"])
            self.assertEqual(client.orders, [])


if __name__ == "__main__":
    unittest.main()
