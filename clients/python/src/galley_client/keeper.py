"""Where placements wait for their answers.

A placement is kept before it is sent. So a program that is killed in between finds its key again,
and places nothing twice.
"""

import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

log = logging.getLogger(__name__)

# The most placements that a keeper holds; beyond, the oldest is forgotten.
MAX_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A placement whose answer has not come."""

    key: str
    meal_id: int
    at: float
    """When it was made, as `time.time()` counts."""


class Keeper(Protocol):
    """A place for placements. Its methods are short and do not raise."""

    def keep(self, kept: Kept) -> None:
        """Keeps a placement."""

    def forget(self, key: str) -> None:
        """Forgets the placement with this key."""

    def all(self) -> list[Kept]:
        """Returns what is kept, the oldest first."""
        ...


class MemoryKeeper:
    """Keeps as long as the program runs."""

    def __init__(self) -> None:
        """Begins with nothing."""
        self._kept: dict[str, Kept] = {}

    def keep(self, kept: Kept) -> None:
        """Keeps a placement."""
        self._kept[kept.key] = kept
        if len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]

    def forget(self, key: str) -> None:
        """Forgets the placement with this key."""
        self._kept.pop(key, None)

    def all(self) -> list[Kept]:
        """Returns what is kept, the oldest first."""
        return list(self._kept.values())


class FileKeeper(MemoryKeeper):
    """Keeps in a file, of one hero and one program: it survives the program.

    A file that cannot be written is logged and keeps nobody from ordering; the key then lives as
    long as the program. It is not forced to the disk: a power cut may lose the last placements.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Reads what an earlier life of the program kept."""
        super().__init__()
        self._path = Path(path)
        try:
            for entry in json.loads(self._path.read_text(encoding="utf-8")):
                kept = Kept(str(entry["key"]), int(entry["meal_id"]), float(entry["at"]))
                super().keep(kept)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("%s holds no placements: %s", self._path, error)

    def keep(self, kept: Kept) -> None:
        """Keeps a placement."""
        super().keep(kept)
        self._write()

    def forget(self, key: str) -> None:
        """Forgets the placement with this key."""
        super().forget(key)
        self._write()

    def _write(self) -> None:
        """Writes a new file in the place of the old one, so that none is ever half written."""
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            beside.write_text(json.dumps([asdict(kept) for kept in self.all()]), encoding="utf-8")
            beside.replace(self._path)
        except OSError as error:
            log.warning("cannot keep placements in %s: %s", self._path, error)
