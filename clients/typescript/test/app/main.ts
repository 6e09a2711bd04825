// A program of somebody who installed the package. It is compiled for each resolution of modules, and run.

import { Galley, GalleyError, GaveUp, ProblemError, newKey, rest, type CallOptions, type Change, type Order } from "galley-client";

declare const process: { argv: string[] };
const [, , url = "", heroId, mealId] = process.argv;
const galley = new Galley({ url, heroId: Number(heroId), timeout: 10_000 });
const options: CallOptions = { signal: AbortSignal.timeout(10_000) };

await galley.connect(options);
const changes = galley.changes({ ...options, buffer: 100 });
const order: Order = await galley.place(Number(mealId), { key: newKey(), ...options });
const seen: string[] = [];
for await (const change of changes) {
  const { orders }: Change = change;
  for (const { id, status } of orders) if (id === order.id) seen.push(status);
  if (seen.at(-1) === "COMPLETED") break;
}
console.log(seen.join(" "));

await galley.place(999_999).catch((error: unknown) => {
  if (error instanceof ProblemError && error instanceof GalleyError && !(error instanceof GaveUp)) console.log(error.code);
});

const api = rest(url);
const { data, error } = await api.GET("/heroes/{id}", { params: { path: { id: Number(heroId) } }, timeout: 5_000 });
console.log(data ? data.name : error);
const page = await api.GET("/orders", { params: { query: { status: ["PENDING"], limit: 1 } } });
const items: readonly { id: number }[] = page.data?.items ?? [];
await api.PUT("/heroes/{id}", { params: { path: { id: Number(heroId) } }, body: { name: "Zoé", planet: "Mars" }, headers: { "If-Match": "*" } });
const gone = await api.DELETE("/orders/{id}", { params: { path: { id: order.id } } });
const left: Order | undefined = gone.data;
// @ts-expect-error there is no such path
await api.GET("/nowhere");
// @ts-expect-error a body is missing
await api.POST("/heroes").catch(() => {});
// @ts-expect-error the id is missing
void (() => api.GET("/heroes/{id}"));
void [items, left];
galley.close();
