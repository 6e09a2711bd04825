import type { Diagnosis } from "./connection.js";
import { GalleyError, slugOf } from "./errors.js";
import type { Options } from "./options.js";
import type { Rest } from "./rest.js";

/** How long the question may take. */
const timeout = 5_000;

/** Asks over REST why no socket can be had: a page cannot see the answer to a handshake. */
export async function diagnose(rest: Rest, { heroId, token }: Options): Promise<Diagnosis> {
  const ask = () => {
    if (heroId !== undefined) return rest.GET("/heroes/{id}", { params: { path: { id: heroId } }, timeout });
    // Whether there is a gateway is told without a token; whether it takes this token is not.
    return token ? rest.GET("/orders", { params: { query: { limit: 1 } }, timeout }) : rest.GET("/readyz", { timeout });
  };
  try {
    const { error, response } = await ask();
    const { status } = response;
    const detail = `the gateway answers ${status}`;
    if (status === 401) return { reason: { code: "unauthorized", detail }, advice: token ? "new-token" : "no" };
    if (status === 403) return { reason: { code: "forbidden", detail }, advice: "no" };
    if (status === 404) {
      const known = typeof error === "object" && slugOf(error) === "hero-not-found";
      return { reason: known ? { code: "hero-not-found", detail } : { code: "refused", detail: "there is no Galley at this address: 404" }, advice: "no" };
    }
    const retryAfter = Number(response.headers.get("Retry-After") ?? 0) * 1_000 || 0;
    if (status === 429 || status === 503) return { reason: { code: "busy", detail }, advice: "back-off", retryAfter };
    return { reason: { code: "busy", detail: "the gateway takes no socket" }, advice: "back-off" };
  } catch (error) {
    const code = error instanceof GalleyError && error.code === "unauthorized" ? "unauthorized" : "unreachable";
    return { reason: { code, detail: code === "unauthorized" ? String(error) : "nobody answers" }, advice: "back-off" };
  }
}
