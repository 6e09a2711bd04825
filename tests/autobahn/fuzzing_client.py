#!/usr/bin/env python3
"""Plays the cases of a conformance suite of RFC 6455 against `/echo` of a gateway, in bare bytes.

    fuzzing_client.py 127.0.0.1:8080 [PREFIX]

The categories are those of Autobahn's suite: 1 framing, 2 pings, 3 reserved bits, 4 opcodes, 5 fragments, 6 UTF-8, 7 closing,
9 limits, 10 fragments of a library. Needs Python alone. Ends with 1 if a case failed.
"""

import os
import socket
import struct
import sys

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN = 0x80
PROTOCOL, NOT_UTF8 = {1002}, {1007}
ENDED = object()


def frame(opcode, payload=b"", fin=True, rsv=0):
    """A masked frame of a client."""
    length = len(payload)
    size = bytes([FIN | length]) if length < 126 else struct.pack("!BH", 254, length) if length < 65536 else struct.pack("!BQ", 255, length)
    mask = os.urandom(4)
    key = (mask * (length // 4 + 1))[:length]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")
    return bytes([FIN * fin | rsv << 4 | opcode]) + size + mask + masked


def close(code=1000, reason=b""):
    return frame(CLOSE, (b"" if code is None else struct.pack("!H", code)) + reason)


def fragments(opcode, payload, size):
    parts = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    last = len(parts) - 1
    return [frame(CONT if at else opcode, part, fin=at == last) for at, part in enumerate(parts)]


def octets(data, chop=1):
    return [data[at : at + chop] for at in range(0, len(data), chop)]


class Peer:
    """One connection to the gateway."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(
            f"GET /echo HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        self.file = self.socket.makefile("rb")
        assert b" 101 " in self.file.readline(), "no upgrade"
        while self.file.readline() != b"\r\n":
            pass

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # the gateway may have hung up; what it said before is read below

    def read(self):
        """The next frame: (opcode, payload), or ENDED."""
        try:
            head = self.file.read(2)
            if len(head) < 2:
                return ENDED
            length = head[1]
            assert head[0] & 0x70 == 0 and head[0] & FIN and length < 128, f"a bad header {head.hex()}"
            if length > 125:
                length = int.from_bytes(self.file.read(2 if length == 126 else 8), "big")
            return head[0] & 0xF, self.file.read(length)
        except ConnectionResetError:
            return ENDED


def play(address, sent, expected, closes):
    """Sends the pieces, and expects these frames and then a close with one of these codes (None: without a code). A case that
    breaks no rule ends with a close of the client. Returns what is wrong, if anything."""
    peer = Peer(address)
    for piece in sent:
        peer.send(piece)
    if closes is None:
        peer.send(close())
        closes = {1000}
    for number, frame_expected in enumerate(expected):
        got = peer.read()
        if got != frame_expected:
            return f"frame {number} is {str(got)[:80]}, not {str(frame_expected)[:80]}"
    got = peer.read()
    if got is ENDED or got[0] != CLOSE:
        return f"no close but {str(got)[:80]}"
    code = struct.unpack("!H", got[1][:2])[0] if got[1] else None
    if code not in closes:
        return f"closed with {code}, not {closes}"
    peer.socket.shutdown(socket.SHUT_WR)
    after = peer.read()
    return None if after is ENDED else f"after the close came {str(after)[:80]}"


def echoes(opcode, payload, chop=None):
    data = frame(opcode, payload)
    return (octets(data, chop) if chop else [data]), [(opcode, payload)], None


def cases():
    """Every case: its number, what is sent, which frames are expected, and with which codes the gateway may close."""
    yield from framing()
    yield from pings()
    yield from reserved()
    yield from fragmented()
    yield from characters()
    yield from closing()
    yield from limits()


def framing():
    for kind, opcode, byte in ((1, TEXT, b"*"), (2, BINARY, b"\xfe")):
        for number, length in enumerate((0, 125, 126, 127, 128, 65535, 65536), 1):
            yield f"1.{kind}.{number}", *echoes(opcode, byte * length)
        yield f"1.{kind}.8", *echoes(opcode, byte * 65536, 997)


def pings():
    for number, payload in enumerate((b"", b"Hello", b"\x00\xff\xfe\xfd", b"\xfe" * 125), 1):
        yield f"2.{number}", [frame(PING, payload)], [(PONG, payload)], None
    yield "2.5", [frame(PING, b"\xfe" * 126)], [], PROTOCOL
    yield "2.6", octets(frame(PING, b"\xfe" * 125)), [(PONG, b"\xfe" * 125)], None
    for number, payload in ((7, b""), (8, b"unsolicited")):
        yield f"2.{number}", [frame(PONG, payload)], [], None
    yield "2.9", [frame(PONG, b"unasked"), frame(PING, b"asked")], [(PONG, b"asked")], None
    many = [b"payload-%d" % number for number in range(10)]
    yield "2.10", [frame(PING, each) for each in many], [(PONG, each) for each in many], None
    yield "2.11", octets(b"".join(frame(PING, each) for each in many)), [(PONG, each) for each in many], None


def reserved():
    hello = (TEXT, b"Hello")
    for rsv in range(1, 8):
        for number, (opcode, payload) in enumerate((hello, (BINARY, b"\xff"), (PING, b"?"), (CLOSE, b"\x03\xe8")), 1):
            bad = frame(opcode, payload, rsv=rsv)
            yield f"3.{rsv}.{number}", [bad], [], PROTOCOL
            yield f"3.{rsv}.{number}b", [frame(*hello), bad, frame(PING)], [hello], PROTOCOL
            yield f"3.{rsv}.{number}c", octets(frame(*hello) + bad), [hello], PROTOCOL
    for kind, opcodes in ((1, range(3, 8)), (2, range(11, 16))):
        for opcode in opcodes:
            yield f"4.{kind}.{opcode}", [frame(opcode)], [], PROTOCOL
            yield f"4.{kind}.{opcode}b", [frame(*hello), frame(opcode, b"reserved"), frame(PING)], [hello], PROTOCOL
            yield f"4.{kind}.{opcode}c", octets(frame(*hello) + frame(opcode, b"reserved")), [hello], PROTOCOL


def fragmented():
    yield "5.1", [frame(PING, b"a", fin=False), frame(CONT, b"b")], [], PROTOCOL
    yield "5.2", [frame(PONG, b"a", fin=False), frame(CONT, b"b")], [], PROTOCOL
    whole, ping = (TEXT, b"fragment1fragment2"), frame(PING, b"?")
    parts = fragments(*whole, 9)
    pong = (PONG, b"?")
    yield "5.3", parts, [whole], None
    yield "5.4", [b"".join(parts)], [whole], None
    yield "5.5", octets(b"".join(parts)), [whole], None
    yield "5.6", [parts[0], ping, parts[1]], [pong, whole], None
    yield "5.7", [parts[0] + ping + parts[1]], [pong, whole], None
    yield "5.8", octets(parts[0] + ping + parts[1]), [pong, whole], None
    for number, fin in ((9, True), (12, False)):
        stray = frame(CONT, b"stray", fin=fin)
        yield f"5.{number}", [stray, frame(TEXT, b"Hello")], [], PROTOCOL
        yield f"5.{number + 1}", [stray + frame(TEXT, b"Hello")], [], PROTOCOL
        yield f"5.{number + 2}", octets(stray + frame(TEXT, b"Hello")), [], PROTOCOL
    yield "5.15", [*parts, frame(CONT, b"stray", fin=False), frame(TEXT, b"Hello")], [whole], PROTOCOL
    for number, opcode in ((16, TEXT), (17, BINARY)):
        yield f"5.{number}", [frame(CONT, b"a", fin=False), frame(opcode, b"b")], [], PROTOCOL
    yield "5.18", [frame(TEXT, b"a", fin=False), frame(TEXT, b"b")], [], PROTOCOL
    yield "5.18b", [frame(TEXT, b"a", fin=False), frame(BINARY, b"b")], [], PROTOCOL
    five = fragments(TEXT, b"fragment" * 5, 8)
    pieces = [five[0], five[1], ping, five[2], five[3], ping, five[4]]
    yield "5.19", pieces, [pong, pong, (TEXT, b"fragment" * 5)], None
    yield "5.20", octets(b"".join(pieces), 3), [pong, pong, (TEXT, b"fragment" * 5)], None


VALID = ["κόσμε", "Hello-µ@ßöäüàá-UTF-8!!", "\0", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\ufeff", "\ufffe", "\uffff", "\U00010000", "\U0010fffe", "\U0010ffff"]
VALID += [chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF)]
INVALID = [b"\xce\xba\xed\xa0\x80edited", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xf4\x90\x80\x80", b"\x80", b"\xbf", b"\x80\xbf"]
INVALID += [bytes(range(0x80, 0xC0)), b"\xc0 \xc1 ", b"\xe0 \xe1 ", b"\xf0 \xf1 ", b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xdf", b"\xef\xbf", b"\xf3\xbf\xbf", b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"]
INVALID += [b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80"]
INVALID += [bytes((0xED, second, 0x80)) for second in (0xA0, 0xAD, 0xAE, 0xAF, 0xB0, 0xBE, 0xBF)] + [b"\xed\xa0\x80\xed\xb0\x80"]


def characters():
    for number, text in enumerate(VALID):
        data = text.encode()
        yield f"6.1.{number}", *echoes(TEXT, data)
        yield f"6.1.{number}b", fragments(TEXT, data, 1), [(TEXT, data)], None
        yield f"6.1.{number}c", *echoes(TEXT, data, 1)
    yield "6.1.empty", [frame(TEXT, fin=False), frame(CONT, fin=False), frame(CONT)], [(TEXT, b"")], None
    for number, data in enumerate(INVALID):
        yield f"6.3.{number}", [frame(TEXT, data)], [], NOT_UTF8
        yield f"6.3.{number}b", fragments(TEXT, data, 1), [], NOT_UTF8
        yield f"6.3.{number}c", octets(frame(TEXT, data)), [], NOT_UTF8
    # The end of the message never comes: the first wrong byte is enough.
    good = "κόσμε".encode()
    for number, wrong in enumerate((b"\xf4\x90", b"\xed\xa0", b"\xff", b"\xc0", b"\xf8"), 1):
        yield f"6.4.{number}", [frame(TEXT, good, fin=False), frame(CONT, wrong, fin=False)], [], NOT_UTF8
        yield f"6.4.{number}b", octets(frame(TEXT, good + wrong + b"edited")[: 6 + len(good + wrong)]), [], NOT_UTF8


def closing():
    hello = (TEXT, b"Hello")
    yield "7.1.1", [frame(*hello)], [hello], None
    yield "7.1.2", [close(), close()], [], {1000}
    yield "7.1.3", [close(), frame(PING)], [], {1000}
    yield "7.1.4", [close(), frame(*hello)], [], {1000}
    yield "7.1.5", [frame(TEXT, b"fragment", fin=False), close(), frame(CONT, b"rest")], [], {1000}
    yield "7.1.6", [frame(TEXT, b"*" * 262144), frame(*hello), close(), frame(PING)], [(TEXT, b"*" * 262144), hello], {1000}
    yield "7.3.1", [close(None)], [], {None}
    yield "7.3.2", [frame(CLOSE, b"a")], [], PROTOCOL
    for number, reason in ((3, b""), (4, b"Hello"), (5, b"*" * 123)):
        yield f"7.3.{number}", [close(1000, reason)], [], {1000}
    yield "7.3.6", [close(1000, b"*" * 124)], [], PROTOCOL
    for number, reason in enumerate(INVALID):
        if len(reason) <= 123:
            yield f"7.5.{number}", [close(1000, reason)], [], NOT_UTF8
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        yield f"7.7.{code}", [close(code)], [], {code}
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        yield f"7.9.{code}", [close(code)], [], PROTOCOL


def limits():
    for kind, opcode in ((1, TEXT), (2, BINARY)):
        for number, size in enumerate((1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24), 1):
            yield f"9.{kind}.{number}", *echoes(opcode, b"*" * size)
        whole = b"*" * (1 << 20)
        for number, size in enumerate((64, 1 << 10, 1 << 14, 1 << 18), 1):
            yield f"9.{kind + 2}.{number}", [b"".join(fragments(opcode, whole, size))], [(opcode, whole)], None
        for number, chop in enumerate((64, 1 << 10, 1 << 14), 1):
            yield f"9.{kind + 4}.{number}", *echoes(opcode, whole, chop)
        for number, size in enumerate((0, 16, 64, 1 << 10, 1 << 13), 1):
            yield f"9.{kind + 6}.{number}", [frame(opcode, b"*" * size)] * 200, [(opcode, b"*" * size)] * 200, None
    yield "10.1.1", fragments(TEXT, b"*" * 65536, 1300), [(TEXT, b"*" * 65536)], None


def main():
    address, prefix = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    played = failed = 0
    for number, sent, expected, closes in cases():
        if not number.startswith(prefix):
            continue
        played += 1
        try:
            wrong = play(address, sent, expected, closes)
        except (AssertionError, OSError) as error:
            wrong = f"{type(error).__name__}: {error}"
        if wrong:
            failed += 1
            print(f"{number}: {wrong}")
    print(f"{played - failed} of {played} cases passed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
