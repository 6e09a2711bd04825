"""What to make of a connection that could not be opened, or that ended."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    WebSocketException,
)

from .closes import CLOSE_CODES, Advice
from .state import Cause, CauseCode

if TYPE_CHECKING:
    from websockets.http11 import Response

CODES: dict[int, CauseCode] = {
    1001: "busy",
    1008: "forbidden",
    1012: "restart",
    1013: "busy",
    4401: "unauthorized",
    4403: "forbidden",
    4408: "unauthorized",
}
# A gateway's hint is believed up to so many seconds.
MAX_HINT = 600.0
# The connection broke off within the handshake of TLS.
CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
TOO_BIG = 1009
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, MISDIRECTED = 401, 403, 404, 421
TOO_MANY, SERVER_ERRORS = 429, 500


@dataclass(frozen=True, slots=True)
class Ending:
    """Why there is no connection, and whether and when to come back."""

    cause: Cause
    advice: Advice
    at_least: float = 0.0
    """The gateway asked to stay away for so many seconds."""


def refused(error: Exception, *, renewable: bool, welcomed_before: bool) -> Ending:
    """Judges a handshake that failed. A new token helps only if tokens are `renewable`."""
    if isinstance(error, InvalidStatus):
        return answered(error.response, renewable=renewable)
    if isinstance(error, ssl.SSLError) and not isinstance(error, CUT_OFF):
        # What was trusted before may be again.
        why = getattr(error, "verify_message", None) or error
        cause = Cause("untrusted", f"the gateway cannot be trusted: {why}")
        return Ending(cause, "back-off" if welcomed_before else "no")
    if isinstance(error, TimeoutError):
        return Ending(Cause("silent", "no answer to the handshake came in time"), "back-off")
    if isinstance(error, (OSError, EOFError, InvalidHandshake)):
        return Ending(Cause("unreachable", f"nobody answers: {error}"), "back-off")
    if isinstance(error, WebSocketException):
        # A bad redirection, or a bad proxy of the environment.
        return Ending(Cause("refused", f"no connection can be opened: {error}"), "no")
    raise error


def answered(response: Response, *, renewable: bool) -> Ending:
    """Judges an answer that is no upgrade."""
    status = response.status_code
    slug, told = problem_of(response)
    detail = f"the gateway answers {status}{told}"
    if status == UNAUTHORIZED:
        return Ending(Cause("unauthorized", detail), "new-token" if renewable else "no")
    if status in (FORBIDDEN, MISDIRECTED):
        return Ending(Cause("forbidden", detail), "no")
    if status == TOO_MANY or status >= SERVER_ERRORS:
        return Ending(Cause("busy", detail), "back-off", retry_after(response))
    if slug == "hero-not-found":
        return Ending(Cause("hero-not-found", detail), "no")
    if status == NOT_FOUND:
        detail = f"{detail}; is this the address of a gateway?"
    return Ending(Cause("refused", detail), "no")


def problem_of(response: Response) -> tuple[str, str]:
    """Returns the name of the problem in an answer and its detail, both empty if there is none."""
    try:
        problem = json.loads(response.body or b"")
        return str(problem["type"]).rpartition("/")[2], f": {problem['detail']}"
    except (ValueError, TypeError, KeyError):
        return "", ""


def retry_after(response: Response) -> float:
    """Returns the seconds of `Retry-After`; a date there counts as none."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), MAX_HINT) if text.isascii() and text.isdigit() else 0.0


def ended(closed: ConnectionClosed, max_frame: int) -> Ending:
    """Judges the end of an open connection."""
    if closed.sent and closed.sent.code == TOO_BIG and not closed.rcvd_then_sent:
        # The next connection would bring the same frame.
        text = f"a frame had more than max_frame, {max_frame} bytes"
        return Ending(Cause("too-big", text), "no")
    if closed.rcvd is None:
        return Ending(Cause("lost", "the connection broke off"), "back-off")
    code, text = closed.rcvd.code, closed.rcvd.reason
    reason, advice = CLOSE_CODES.get(code, (f"the connection ended with {code}", "back-off"))
    otherwise: CauseCode = "refused" if advice == "no" else "lost"
    return Ending(Cause(CODES.get(code, otherwise), text or reason), advice)
