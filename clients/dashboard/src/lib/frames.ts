// Frames of a socket as the Console keeps them: their text, without tokens.

export interface Frame {
  id: number;
  at: number;
  sent: boolean;
  /** The text, with tokens taken out. */
  text: string;
  /** The type of a frame, or `words` for a line of plain words. */
  type: string;
}

/** In place of a token. */
export const HIDDEN = "•••";

const WORDS = /^(\s*auth\s+)\S[^]*$/i;
const FIELD = /("token"\s*:\s*)(?:"(?:[^"\\]|\\.)*"?|[^\s",}]+)/gi;
const JWT = /eyJ[\w-]+\.[\w-]+\.[\w-]*/g;
const TYPE = /^\s*\{\s*"type"\s*:\s*"([^"\\]{1,60})"/;

/** The text without tokens: that of an `auth` command, and whatever looks like a JSON Web Token. */
export function redacted(text: string): string {
  const plain = text.replace(WORDS, `$1${HIDDEN}`).replace(FIELD, `$1"${HIDDEN}"`).replace(JWT, HIDDEN);
  // Names may be written with escapes.
  if (!text.includes("\\u")) return plain;
  const parsed = objectIn(plain);
  return parsed && "token" in parsed ? JSON.stringify({ ...parsed, token: HIDDEN }) : plain;
}

export function frameOf(id: number, at: number, sent: boolean, text: string): Frame {
  const safe = redacted(text);
  return { id, at, sent, text: safe, type: typeOf(safe) };
}

/** The object that a text is, if it is one. */
export function objectIn(text: string): Record<string, unknown> | undefined {
  if (!text.trimStart().startsWith("{")) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function typeOf(text: string): string {
  const found = TYPE.exec(text)?.[1];
  if (found) return found;
  const type = objectIn(text)?.["type"];
  if (typeof type === "string") return type.slice(0, 60);
  return text.trimStart().startsWith("{") ? "?" : "words";
}

export type TokenKind = "key" | "string" | "number" | "literal" | "plain";
const TOKEN = /("(?:[^"\\]|\\.)*"?)(?=(\s*:)?)|(-?\d[\d.eE+-]*)|\b(true|false|null)\b|[^"\d\w-]+|./g;

/** The beginning of a text, cut into what is drawn alike. What is no JSON is one piece. */
export function tokens(text: string, length: number): [kind: TokenKind, text: string][] {
  const cut = text.length > length ? `${text.slice(0, length)}…` : text;
  if (!/^\s*[[{]/.test(cut)) return [["plain", cut]];
  return [...cut.matchAll(TOKEN)].map(([whole, string, colon, number, literal]) => {
    const kind = string !== undefined ? (colon ? "key" : "string") : number !== undefined ? "number" : literal ? "literal" : "plain";
    return [kind, whole];
  });
}
