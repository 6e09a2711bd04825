// Tokens, as a service that logs people in would make them.

import { createHmac } from "node:crypto";

export const SECRET = "a secret of the tests, long enough for HS256";

/** What a gateway is started with that asks for them. */
export const guarded = ["--auth", "jwt", "--jwt-secret", SECRET];

/** A token with these claims, good for so many seconds. */
export function mint(claims, seconds) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256" })}.${part({ ...claims, exp: Math.floor(Date.now() / 1_000) + seconds })}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}
