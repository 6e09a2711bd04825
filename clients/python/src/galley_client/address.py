"""Where the gateway is, and whom to trust there."""

import os
import ssl
from urllib.parse import urlencode, urlsplit

from .errors import OptionError

MAX_ID = 2**53 - 1


class Address:
    """The address of a gateway's sockets, checked when it is made."""

    def __init__(
        self, url: str, hero_id: int | None, tls: ssl.SSLContext | str | os.PathLike[str] | None
    ) -> None:
        """Raises `OptionError` for an address that cannot be right."""
        self._hero_id = checked_hero(hero_id)
        self._socket = socket_address(url)
        secure = self._socket.startswith("wss:")
        if tls is not None and not secure:
            raise OptionError("bad-option", f"tls is for https:// and wss://, not for {url}")
        self.tls = trusted(tls) if secure else None

    def at(self, cursor: str | None) -> str:
        """Returns the address of a connection that resumes at this cursor."""
        query = {"hero_id": self._hero_id, "cursor": cursor}
        present = {name: value for name, value in query.items() if value is not None}
        return f"{self._socket}?{urlencode(present)}" if present else self._socket


def socket_address(url: str) -> str:
    """Returns the address of the sockets below this one of the gateway."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError) as error:
        raise OptionError("bad-url", f"{url!r} is no address: {error}") from error
    if parts.scheme not in ("http", "https", "ws", "wss"):
        raise OptionError(
            "bad-url", f"{url!r} begins with none of http://, https://, ws://, wss://"
        )
    if not host or port == 0 or any(not "!" <= letter <= "~" for letter in url):
        raise OptionError(
            "bad-url", f"{url!r} names no host, port 0, or has characters of no address"
        )
    if parts.username is not None or parts.password is not None:
        # Not repeated in the text: it may hold a password.
        raise OptionError("bad-url", "the address holds a user: pass `token` instead")
    if parts.query or parts.fragment:
        raise OptionError("bad-url", f"{url!r} has a query or a fragment: pass `hero_id` instead")
    scheme = parts.scheme.replace("http", "ws")
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/ws"


def checked_hero(hero_id: int | None) -> int | None:
    """Returns the hero, if it may be one."""
    if hero_id is None:
        return None
    if isinstance(hero_id, bool) or not isinstance(hero_id, int) or not 1 <= hero_id <= MAX_ID:
        raise OptionError("bad-option", f"hero_id is a positive integer, not {hero_id!r}")
    return hero_id


def trusted(tls: ssl.SSLContext | str | os.PathLike[str] | None) -> ssl.SSLContext:
    """Returns the settings of TLS: the system's authorities, those of a PEM file, or as given."""
    if isinstance(tls, ssl.SSLContext):
        return tls
    try:
        return ssl.create_default_context(cafile=tls)
    except OSError as error:  # `ssl.SSLError` is one.
        text = f"{os.fspath(tls or '')!r} holds no certificates: {error}"
        raise OptionError("bad-option", text) from error
