import assert from "node:assert/strict";
import { test } from "node:test";
import { Picture } from "galley-client";

const order = (id, version, status = "PENDING") => ({ id, version, status });

test("whatever comes late or twice, the highest version is kept", () => {
  const picture = new Picture(10);
  const states = [order(1, 1), order(1, 2, "IN_PROGRESS"), order(1, 3, "COMPLETED")];
  for (const [one, two, three] of [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 2, 1]]) {
    const fresh = new Picture(10);
    [one, two, three].forEach((which) => fresh.apply({ type: "order", order: states[which], cursor: "r1.1" }));
    assert.equal(fresh.get(1).version, 3);
  }
  picture.apply({ type: "deleted", order_id: 1, version: 4, cursor: "r2.2" });
  assert.deepEqual(picture.apply({ type: "order", order: states[2], cursor: "r3.3" }).orders, []);
  assert.equal(picture.get(1), undefined);
  assert.equal(picture.cursor, "r3.3");
});

test("ended orders are forgotten at the bound, active ones never", () => {
  const picture = new Picture(10);
  picture.learn(Array.from({ length: 20 }, (_, index) => order(index + 1, 1)));
  assert.equal(picture.orders().length, 20);
  picture.learn(Array.from({ length: 19 }, (_, index) => order(index + 1, 3, "COMPLETED")));
  assert.deepEqual(picture.orders().map(({ id }) => id), [20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10]);
});
