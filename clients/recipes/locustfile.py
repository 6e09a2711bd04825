"""Heroes who order over REST and wait on their WebSockets: place → COMPLETED, measured by Locust."""

import json
import os
import time
from collections import defaultdict

import gevent
import websocket
from gevent.event import AsyncResult
from locust import HttpUser, constant_pacing, events, task

TOKEN = os.environ.get("GALLEY_TOKEN")
HEADERS = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
ENDS = ("COMPLETED", "CANCELLED")
# An order that has not ended after so many seconds is a failure.
PATIENCE = 30


class Hero(HttpUser):
    """A hero with a socket of its own, who orders once a second unless the order before it is not ready."""

    wait_time = constant_pacing(1)

    def on_start(self) -> None:
        self.client.headers.update(HEADERS)
        hero = self.client.post("/heroes", json={"name": "Locust", "planet": "Load"}).json()
        self.hero_id = hero["id"]
        self.meal_id = self.client.get("/meals?limit=1", name="/meals").json()["items"][0]["id"]
        address = f"{self.host.replace('http', 'ws', 1)}/ws?hero_id={self.hero_id}"
        self.socket = websocket.create_connection(address, header=HEADERS, timeout=10)
        self.socket.settimeout(None)
        self.ended: defaultdict[int, AsyncResult] = defaultdict(AsyncResult)
        self.listener = gevent.spawn(self.listen)

    def on_stop(self) -> None:
        self.listener.kill()
        self.socket.close()

    def listen(self) -> None:
        """Notes when each order ended, perhaps before the answer to its placement is here."""
        while line := self.socket.recv():
            frame = json.loads(line)
            # After an overload several orders come in one `resync`.
            for order in [frame["order"]] if frame["type"] == "order" else frame.get("orders", []):
                if order["status"] in ENDS:
                    self.ended[order["id"]].set((order["status"], time.perf_counter()))

    @task
    def order(self) -> None:
        began = time.perf_counter()
        answer = self.client.post("/orders", json={"hero_id": self.hero_id, "meal_id": self.meal_id}, name="place")
        if answer.status_code != 202:
            return
        order_id = answer.json()["id"]
        status, at = self.ended[order_id].wait(timeout=PATIENCE) or ("late", time.perf_counter())
        del self.ended[order_id]
        events.request.fire(
            request_type="WS",
            name="place → COMPLETED",
            response_time=(at - began) * 1_000,
            response_length=0,
            exception=None if status == "COMPLETED" else RuntimeError(f"the order is {status}"),
            context={},
        )
