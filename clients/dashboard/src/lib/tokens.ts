// Tokens as far as this page reads them: when they end, and words for those that the gateway refused. It alone decides.

import type { WantedTokens } from "galley-client";
import { i18n } from "../i18n/index.svelte";

type Claims = Record<string, unknown>;

/** The last moment that JavaScript knows, and minus the first. */
const LAST_DAY = 8.64e15;

/** The token in what somebody pasted. */
export const tokenIn = (text: string): string => text.trim().replace(/^bearer\s+/i, "").replace(/[\s"']/g, "");

/** A moment in words; a token may name one that no calendar has. */
export const momentOf = (at: number): string => (Math.abs(at) <= LAST_DAY ? i18n.moment(at) : "–");

/** The claims of a token; nothing if it is none. */
export const claimsOf = (token: string): Claims | undefined => parse(token)?.claims;

/** When a token ends, by the clock of the service. */
export function endOf(token: string): number {
  const end = claimsOf(token)?.["exp"];
  return typeof end === "number" ? end * 1_000 : Infinity;
}

/** What is wrong with a token, as far as this page can tell, and which one would do. */
export function mistakeOf(token: string, wanted: WantedTokens, present: number): () => string {
  const mistake = find(token, wanted, present);
  return () => `${mistake()} ${describeWanted(wanted)}`;
}

function find(token: string, wanted: WantedTokens, present: number): () => string {
  const words = () => i18n.words.signIn.mistakes;
  const parsed = parse(token);
  if (!parsed) return () => words().noToken;
  const { claims, algorithm } = parsed;
  const end = endOf(token);
  const begin = Math.max(...["nbf", "iat"].map((name) => Number(claims[name] ?? 0))) * 1_000;
  if (end <= present) return () => words().expired(momentOf(end));
  if (begin > present + 5_000) return () => words().early(momentOf(begin));
  if (wanted.issuer && claims["iss"] !== wanted.issuer) return () => words().issuer(shown(claims["iss"]));
  const audience = [claims["aud"] ?? []].flat();
  if (!audience.includes(wanted.audience) && (wanted.needs_audience || audience.length > 0)) return () => words().audience(shown(claims["aud"]));
  const roles = [at(claims, wanted.role_claim)].flat();
  if (!roles.some((role) => role === "hero" || role === "staff")) return () => words().role(shown(at(claims, wanted.role_claim)));
  const hero = at(claims, wanted.hero_claim);
  if (!roles.includes("staff") && !/^[1-9]\d*$/.test(String(hero))) return () => words().hero(shown(hero));
  const issued = Number(claims["iat"] ?? present / 1_000) * 1_000;
  if (wanted.max_age_seconds && end - issued > wanted.max_age_seconds * 1_000) return () => words().long;
  if (!wanted.algorithms.includes(algorithm)) return () => words().algorithm(shown(algorithm));
  return () => words().refused;
}

/** A sentence on the tokens that are taken. */
function describeWanted(wanted: WantedTokens): string {
  const { algorithms, issuer, audience, needs_audience, role_claim, hero_claim, max_age_seconds: age } = wanted;
  const { parts, sentence } = i18n.words.signIn.wanted;
  const named = [
    parts.signed(algorithms.join(", ")),
    ...(issuer ? [parts.issuer(issuer)] : []),
    ...(needs_audience ? [parts.audience(audience)] : []),
    parts.role(role_claim),
    parts.hero(hero_claim),
    age ? parts.age(i18n.duration(age * 1_000)) : parts.end,
  ];
  return sentence(named.join(", "));
}

function parse(token: string): { claims: Claims; algorithm: string } | undefined {
  const parts = token.split(".");
  if (parts.length !== 3 || !parts.every((part) => /^[\w-]+$/.test(part))) return undefined;
  try {
    const [header, claims] = parts.slice(0, 2).map((part) => {
      const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
      return JSON.parse(new TextDecoder().decode(bytes)) as Claims;
    });
    if (typeof header !== "object" || typeof claims !== "object" || !header || !claims) return undefined;
    return { claims, algorithm: String(header["alg"]) };
  } catch {
    return undefined;
  }
}

/** A claim by its path, as the gateway finds it: a name with dots at the top, or names that lead into objects. */
function at(claims: Claims, path: string): unknown {
  if (path in claims) return claims[path];
  return path.split(".").reduce<unknown>((within, name) => (within as Claims | undefined)?.[name], claims);
}

const shown = (value: unknown): string => (value === undefined ? "–" : (JSON.stringify(value) ?? "–").slice(0, 80));
