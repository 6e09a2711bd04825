"""A client of Galley for asyncio: it connects, resumes, and never orders twice."""

from .backoff import Backoff
from .changes import Changes
from .client import Galley
from .errors import (
    ClosedError,
    GalleyError,
    LateError,
    OptionError,
    OutboxFullError,
    ProblemError,
)
from .frames import Hero, Meal, Order, Problem, ServerFrame, Status, Totals
from .keeper import FileKeeper, Keeper, Kept, MemoryKeeper
from .picture import Change, is_active
from .renewal import TokenProvider
from .state import Cause, CauseCode, State

__all__ = [
    "Backoff",
    "Cause",
    "CauseCode",
    "Change",
    "Changes",
    "ClosedError",
    "FileKeeper",
    "Galley",
    "GalleyError",
    "Hero",
    "Keeper",
    "Kept",
    "LateError",
    "Meal",
    "MemoryKeeper",
    "OptionError",
    "Order",
    "OutboxFullError",
    "Problem",
    "ProblemError",
    "ServerFrame",
    "State",
    "Status",
    "TokenProvider",
    "Totals",
    "is_active",
]
