import type { Rest } from "galley-client";
import { i18n } from "../i18n/index.svelte";
import { now } from "./now.svelte";

/** REST whose answers tell the time of the service, and speak the language of the page. */
export function clocked(api: Rest): Rest {
  const asked = new WeakMap<Request, number>();
  api.use({
    onRequest: ({ request }) => {
      request.headers.set("Accept-Language", i18n.language);
      asked.set(request, Date.now());
    },
    onResponse: ({ request, response }) => {
      const at = asked.get(request);
      if (at !== undefined) now.learn(response.headers.get("Date"), at, Date.now());
    },
  });
  return api;
}
