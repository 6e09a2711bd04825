import type { Rest } from "galley-client";
import { now } from "./now.svelte";

/** REST whose answers tell the time of the service. */
export function clocked(api: Rest): Rest {
  const asked = new WeakMap<Request, number>();
  api.use({
    onRequest: ({ request }) => void asked.set(request, Date.now()),
    onResponse: ({ request, response }) => {
      const at = asked.get(request);
      if (at !== undefined) now.learn(response.headers.get("Date"), at, Date.now());
    },
  });
  return api;
}
