"""Measures what a neighbour feels of an attack: how long it waits for a place, an opened socket and
`/healthz`, and how much the gateway grows.

The neighbour is another hero than the attacker, from another address. It asks one thing after the
other at a fixed rate. Each attack runs in processes of the lowest
priority (SCHED_IDLE) for a bounded time, on loopback only. A control, which is an echo server in a
process of its own that is asked like the gateway, shows what the machine itself delays.

An attacker uses the machine even if a gateway does nothing for it. A second gateway (`--elsewhere`)
can therefore be attacked for comparison: what the neighbour waits meanwhile is the machine's share.

Prints one JSON line per attack and thing asked: p50, p99 and worst in ms without the attack, beside
the same attack on the second gateway, and with it; refusals of the neighbour, growth of the gateway
in KiB.
"""

import argparse, base64, itertools, json, multiprocessing, os, selectors, socket, struct, time

NEIGHBOUR, ATTACKER = "127.0.0.1", "127.0.0.2"
PACE = 0.01  # seconds from one question of the neighbour to the next
FEWEST = 3  # measurements of each thing, however long they take
PATIENCE = 10  # seconds; a slower answer counts as so long


def dial(host, port, source, buffer=None):
    stream = socket.socket()
    if buffer:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    stream.bind((source, 0))
    stream.settimeout(PATIENCE)
    stream.connect((host, port))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return stream


def head(stream, received=b""):
    """Reads the head of an answer; returns its status, its fields and what came after it."""
    while b"\r\n\r\n" not in received:
        more = stream.recv(65536)
        if not more:
            raise EOFError("closed before an answer")
        received += more
    text, rest = received.split(b"\r\n\r\n", 1)
    lines = text.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split(" ")[1]), fields, rest


class Service:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def bytes_of(self, method, path, body=None, fields=()):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", *fields]
        text = "" if body is None else json.dumps(body)
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(text)}"]
        return ("\r\n".join(lines) + "\r\n\r\n" + text).encode()

    def handshake(self, hero, cursor=None):
        query = (f"?hero_id={hero}" if hero else "") + (f"&cursor={cursor}" if cursor else "")
        key = base64.b64encode(os.urandom(16)).decode()
        fields = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
        return self.bytes_of("GET", f"/ws{query}", None, fields)

    def ask(self, stream, *request):
        """Sends a request and reads its answer whole; returns its status and its body."""
        stream.sendall(self.bytes_of(*request))
        status, fields, body = head(stream)
        length = int(fields.get("content-length", 0))
        while len(body) < length:
            more = stream.recv(65536)
            if not more:
                raise EOFError("closed within an answer")
            body += more
        return status, body

    def once(self, *request, source=NEIGHBOUR):
        with dial(self.host, self.port, source) as stream:
            return self.ask(stream, *request)

    def opened(self, hero, source):
        """Opens a socket and reads the begin of its welcome; returns the stream, or None if it was refused."""
        stream = dial(self.host, self.port, source)
        stream.sendall(self.handshake(hero))
        status, _, rest = head(stream)
        if status != 101:
            stream.close()
            return None
        while len(rest) < 2:
            rest += stream.recv(65536)
        return stream


def masked(kind, payload):
    """A client's frame (RFC 6455 section 5.2), masked with zeros."""
    length = len(payload)
    size = bytes([128 | length]) if length < 126 else bytes([254]) + struct.pack(">H", length)
    return bytes([128 | kind]) + size + bytes(4) + payload


def command(**members):
    return masked(1, json.dumps(members).encode())


# --- The neighbour -----------------------------------------------------------------------------


def neighbour(service, hero, meal, control, seconds, results):
    """Asks one thing after the other at a fixed rate; puts waits in ms and refusals into a queue."""
    waits, refused = {"place": [], "open": [], "healthz": [], "control": []}, 0
    kept = {}

    def place():
        if "rest" not in kept:
            kept["rest"] = dial(service.host, service.port, NEIGHBOUR)
        return service.ask(kept["rest"], "POST", "/orders", {"hero_id": hero, "meal_id": meal})[0] == 202

    def open_socket():
        stream = service.opened(hero, NEIGHBOUR)
        if stream:
            stream.sendall(masked(8, struct.pack(">H", 1000)))
            stream.close()
        return bool(stream)

    def healthz():
        return service.once("GET", "/healthz")[0] == 200

    def echo():
        with dial("127.0.0.1", control, NEIGHBOUR) as stream:
            stream.sendall(b"x")
            return stream.recv(1) == b"x"

    end, due = time.monotonic() + seconds, time.monotonic()
    for name, act in itertools.cycle([("place", place), ("open", open_socket), ("healthz", healthz), ("control", echo)]):
        began = time.monotonic()
        if began >= end and all(len(times) >= FEWEST for times in waits.values()):
            break
        try:
            good = act()
        except (OSError, EOFError):
            good = False
            kept.clear()
        waits[name].append(1000 * (time.monotonic() - began))
        refused += not good
        due = max(due + PACE, time.monotonic() - PACE)
        time.sleep(max(0, due - time.monotonic()))
    results.put((waits, refused))


def echo_server(ready):
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    ready.put(listener.getsockname()[1])
    while True:
        stream, _ = listener.accept()
        stream.sendall(stream.recv(1))
        stream.close()


# --- The attacks: each a function of the service, the attacker's world and the moment of its end --


def flood(streams, chunk, end, reads=True):
    """Writes a chunk to each stream as fast as it takes it, and throws away what comes."""
    selector, offsets = selectors.DefaultSelector(), {}
    for stream in streams:
        stream.setblocking(False)
        events = selectors.EVENT_WRITE | (selectors.EVENT_READ if reads else 0)
        selector.register(stream, events)
        offsets[stream] = 0
    while time.monotonic() < end and offsets:
        for key, events in selector.select(0.2):
            stream = key.fileobj
            try:
                if events & selectors.EVENT_READ and not stream.recv(65536):
                    raise EOFError
                if events & selectors.EVENT_WRITE:
                    # A frame that was cut goes on where it was cut.
                    offsets[stream] = (offsets[stream] + stream.send(chunk[offsets[stream]:])) % len(chunk)
            except BlockingIOError:
                pass
            except (OSError, EOFError):
                selector.unregister(stream)
                offsets.pop(stream)
                stream.close()


def repeated(act, end):
    """Does one thing again and again, whatever becomes of it."""
    while time.monotonic() < end:
        try:
            act()
        except (OSError, EOFError):
            time.sleep(0.001)


def held(service, request, count, end):
    """Opens connections that send a request, and reads nothing of the answers."""
    streams = []
    while time.monotonic() < end:
        if len(streams) < count:
            try:
                stream = dial(service.host, service.port, ATTACKER, 4096)
                if request:
                    stream.sendall(request)
                streams.append(stream)
            except OSError:
                time.sleep(0.01)
        else:
            time.sleep(0.05)


def sockets(world, count):
    found = (world["service"].opened(world["hero"], ATTACKER) for _ in range(count))
    return [stream for stream in found if stream]


def forged_cursors(world, end):
    service = world["service"]
    cursors = itertools.cycle([f"r{int(time.time() * 1000)}.1", "1.1", "z" * 200])

    def act():
        with dial(service.host, service.port, ATTACKER) as stream:
            stream.sendall(service.handshake(world["hero"], next(cursors)))

    repeated(act, end)


def handshakes_closed_at_once(world, end):
    service = world["service"]

    def act():
        with dial(service.host, service.port, ATTACKER) as stream:
            stream.sendall(service.handshake(world["hero"]))

    repeated(act, end)


def get_unread(path):
    def attack(world, end):
        held(world["service"], world["service"].bytes_of("GET", path.format(**world)), 1_500, end)

    return attack


def get_often(path, at_once=64):
    """Keeps many requests for one path unanswered, each read whole."""

    def attack(world, end):
        service = world["service"]
        request = service.bytes_of("GET", path.format(**world))
        streams = []
        for _ in range(at_once):
            try:
                streams.append(dial(service.host, service.port, ATTACKER))
            except OSError:
                pass
        flood_requests(streams, request, end)

    return attack


def flood_requests(streams, request, end):
    """Keeps one request on each stream; the next follows what looks like the end of an answer."""
    selector = selectors.DefaultSelector()
    for stream in streams:
        stream.sendall(request)
        stream.setblocking(False)
        selector.register(stream, selectors.EVENT_READ)
    while time.monotonic() < end:
        for key, _ in selector.select(0.2):
            try:
                received = key.fileobj.recv(1 << 20)
                if not received:
                    raise EOFError
                if len(received) < 1 << 16:
                    key.fileobj.send(request)
            except BlockingIOError:
                pass
            except (OSError, EOFError):
                selector.unregister(key.fileobj)
                key.fileobj.close()


def pings(world, end):
    flood(sockets(world, 32), masked(9, b"") * 4_096, end)


def pongs_unread(world, end):
    flood(sockets(world, 32), masked(9, b"x" * 100) * 512, end, reads=False)


def refused_commands(world, end):
    flood(sockets(world, 32), command(type="ping", id=1) * 512, end)


def typos(world, end):
    flood(sockets(world, 32), masked(1, b"ordr 2") * 1_024, end)


def menus_unread(world, end):
    flood(sockets(world, 32), command(type="menu", id=1) * 64, end, reads=False)


def lists_by_socket(world, end):
    flood(sockets(world, 16), command(type="orders", id=1, status=["CANCELLED"], limit=100) * 16, end)


def tiny_frames(world, end):
    flood(sockets(world, 16), (b"\x01\x80" + bytes(4) + (b"\x00\x80" + bytes(4)) * 2_000 + b"\x80\x80" + bytes(4)), end)


def commands_of_new_sockets(world, end):
    service = world["service"]

    def act():
        stream = service.opened(world["hero"], ATTACKER)
        if stream:
            with stream:
                stream.sendall(command(type="place", id=1, meal_id=world["meal"]) * 100)
                stream.recv(65536)

    repeated(act, end)


def tokenless(world, end):
    held(world["service"], world["service"].handshake(None), 2_000, end)


def idle_connections(world, end):
    held(world["service"], b"", 4_000, end)


def half_heads(world, end):
    held(world["service"], b"GET / HTTP/1.1\r\nHost: a\r\nX: ", 2_000, end)


def connections_closed_at_once(world, end):
    repeated(lambda: dial(world["service"].host, world["service"].port, ATTACKER).close(), end)


def long_reasons(world, end):
    service, hero = world["service"], world["hero"]
    with dial(service.host, service.port, ATTACKER) as stream:

        def act():
            status, body = service.ask(stream, "POST", "/orders", {"hero_id": hero, "meal_id": world["meal"]})
            if status == 202:
                service.ask(stream, "POST", f"/orders/{json.loads(body)['id']}/cancel", {"reason": "é" * 2_000})

        repeated(act, end)


def large_bodies(world, end):
    service, hero = world["service"], world["hero"]
    repeated(lambda: service.once("POST", "/orders", {"x": "y" * 500_000}, source=ATTACKER), end)


def foreign_origins(world, end):
    service = world["service"]
    request = service.bytes_of("GET", "/ws", None, ["Origin: http://evil.test", "Upgrade: websocket"])

    def act():
        with dial(service.host, service.port, ATTACKER) as stream:
            stream.sendall(request)
            stream.recv(65536)

    repeated(act, end)


def event_streams_unread(world, end):
    service = world["service"]
    held(service, service.bytes_of("GET", f"/heroes/{world['hero']}/events"), 200, end)


def pipelined(*request):
    """Sends one request again and again on each connection, without waiting for the answers."""

    def attack(world, end):
        service = world["service"]
        streams = [dial(service.host, service.port, ATTACKER) for _ in range(32)]
        flood(streams, service.bytes_of(*request) * 64, end)

    return attack


def floods_anew(world, end):
    service = world["service"]
    chunk = command(type="ping", id=1) * 4_000

    def act():
        stream = service.opened(world["hero"], ATTACKER)
        if stream:
            with stream:
                stream.sendall(chunk)
                while stream.recv(65536):
                    pass

    repeated(act, end)


def staff_feeds(world, end):
    service, streams = world["service"], []
    for _ in range(64):
        stream = service.opened(None, ATTACKER)
        if stream:
            stream.sendall(command(type="watch", id=1, max_rate=50))
            streams.append(stream)
    flood(streams, command(type="watch", id=1, max_rate=50) * 16, end)


ATTACKS = {
    # Each with the number of its processes.
    "cursors, made up": (forged_cursors, 2),
    "handshakes closed at once": (handshakes_closed_at_once, 2),
    "large file, not read": (get_unread("/docs/swagger-ui-bundle.js"), 1),
    "meals, not read": (get_unread("/meals?limit=100"), 1),
    "orders, not read": (get_unread("/orders?hero_id={hero}&limit=100"), 1),
    "cancelled orders of many": (get_often("/orders?hero_id={hero}&status=CANCELLED&limit=100"), 1),
    "orders of a meal that has none": (get_often("/orders?meal_id=999999"), 1),
    "heroes whose name has it not": (get_often("/heroes?q=zzzz"), 1),
    "pings": (pings, 1),
    "pings, pongs not read": (pongs_unread, 1),
    "refused commands": (refused_commands, 1),
    "typos": (typos, 1),
    "menus, not read": (menus_unread, 1),
    "lists by socket": (lists_by_socket, 1),
    "empty fragments": (tiny_frames, 1),
    "commands of new sockets": (commands_of_new_sockets, 2),
    "sockets without a token": (tokenless, 1),
    "idle connections": (idle_connections, 1),
    "half heads": (half_heads, 1),
    "connections closed at once": (connections_closed_at_once, 2),
    "long reasons": (long_reasons, 2),
    "large bodies": (large_bodies, 2),
    "foreign origins": (foreign_origins, 2),
    "event streams, not read": (event_streams_unread, 1),
    "staff feeds": (staff_feeds, 1),
    "pipelined requests": (pipelined("GET", "/healthz"), 1),
    "pipelined reads": (pipelined("GET", "/meals/1"), 1),
    "pipelined mistakes": (pipelined("POST", "/orders", {"hero_id": "x"}), 1),
    "floods that come again": (floods_anew, 2),
}


def attack(act, world, end):
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    act(world, end)


# --- The measurement ---------------------------------------------------------------------------


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def measure(service, hero, meal, control, seconds, pid):
    """Runs the neighbour; returns its waits, its refusals and the most memory of the gateway in KiB."""
    results = multiprocessing.Queue()
    running = multiprocessing.Process(target=neighbour, args=(service, hero, meal, control, seconds, results))
    running.start()
    most = resident(pid)
    while results.empty() and running.is_alive():
        most = max(most, resident(pid))
        time.sleep(0.05)
    waits, refused = results.get()
    running.join()
    return waits, refused, most


def part(waits, share):
    ordered = sorted(waits)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2)


def figures(waits):
    return {"p50": part(waits, 0.5), "p99": part(waits, 0.99), "worst": part(waits, 1)}


def prepare(service, orders):
    """Fills a gateway; returns the neighbour's hero and meal, and the attacker's world."""
    made = lambda path, body: json.loads(service.once("POST", path, body)[1])["id"]
    hero, other = (made("/heroes", {"name": name, "planet": "Earth"}) for name in ("Neighbour", "Attacker"))
    meal = made("/meals", {"name": "Soup", "price": 1, "origin_planet": "Earth"})
    for number in range(100):
        made("/meals", {"name": f"{number} " + "m" * 190, "price": 1, "origin_planet": "Earth", "ingredients": ["i" * 190 + str(at) for at in range(20)]})
    with dial(service.host, service.port, ATTACKER) as stream:
        for _ in range(orders):
            order = json.loads(service.ask(stream, "POST", "/orders", {"hero_id": other, "meal_id": meal})[1])["id"]
            service.ask(stream, "DELETE", f"/orders/{order}")
    return hero, meal, {"service": service, "hero": other, "meal": meal}


def beside(act, processes, world, seconds, measured):
    """Runs a measurement beside an attack; returns what it returned."""
    end = time.monotonic() + seconds + 0.5
    attackers = [multiprocessing.Process(target=attack, args=(act, world, end)) for _ in range(processes)]
    for process in attackers:
        process.start()
    time.sleep(0.5)
    result = measured()
    for process in attackers:
        process.join(5)
        process.kill()
    return result


def main():
    reader = argparse.ArgumentParser(description="Measures what a neighbour feels of attacks")
    reader.add_argument("--gateway", required=True, help="HOST:PORT of the gateway, on loopback")
    reader.add_argument("--elsewhere", help="HOST:PORT of a gateway of another service, which is attacked for comparison")
    reader.add_argument("--pid", type=int, required=True, help="process id of the gateway")
    reader.add_argument("--seconds", type=float, default=5, help="duration of each measurement")
    reader.add_argument("--orders", type=int, default=2_000, help="cancelled orders of the attacker")
    reader.add_argument("--deployment", default="", help="name for the figures")
    reader.add_argument("--only", action="append", help="name of an attack; all without it")
    arguments = reader.parse_args()
    services = [Service(host, int(port)) for host, port in (at.rsplit(":", 1) for at in (arguments.gateway, arguments.elsewhere) if at)]
    (hero, meal, world), *elsewhere = (prepare(service, arguments.orders) for service in services)
    ready = multiprocessing.Queue()
    multiprocessing.Process(target=echo_server, args=(ready,), daemon=True).start()
    control = ready.get()
    measured = lambda seconds=arguments.seconds: measure(services[0], hero, meal, control, seconds, arguments.pid)
    measured(1)  # warms up
    for name in arguments.only or ATTACKS:
        act, processes = ATTACKS[name]
        waits = {}
        waits["without"], _, before = measured()
        for _, _, other_world in elsewhere:
            waits["elsewhere"], _, _ = beside(act, processes, other_world, arguments.seconds, measured)
        waits["with"], refused, most = beside(act, processes, world, arguments.seconds, measured)
        for asked in waits["with"]:
            of_each = {when: figures(times[asked]) for when, times in waits.items()}
            print(json.dumps({
                "deployment": arguments.deployment, "attack": name, "asked": asked, **of_each, "refused": refused, "grown_kib": most - before,
            }), flush=True)


if __name__ == "__main__":
    main()
