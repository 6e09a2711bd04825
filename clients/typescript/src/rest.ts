// REST, typed by the gateway's own document.

import { at, gatewayAddress } from "./address.js";
import { GalleyError } from "./errors.js";
import type { paths } from "./generated/rest.js";
import type { Problem } from "./types.js";
import { bounded, type CallOptions } from "./waiting.js";

/** Where a token comes from: it is asked for anew for each request and each connection. */
export type TokenProvider = () => string | undefined | Promise<string | undefined>;

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
type Operation<P extends keyof paths, M extends Method> = paths[P][Lowercase<M>];
/** The paths that have this method. */
type PathsWith<M extends Method> = { [P in keyof paths]: [NonNullable<Operation<P, M>>] extends [never] ? never : P }[keyof paths];
type Content<T> = T extends { content: infer Media } ? Media[keyof Media] : undefined;
type Params<O> = O extends { parameters: infer All } ? Pick<All, keyof All & ("path" | "query" | "header")> : never;
type Given<Name extends string, T> = object extends T ? { [N in Name]?: T } : { [N in Name]: T };
type Body<O> = O extends { requestBody: infer B } ? { body: Content<B> } : O extends { requestBody?: infer B } ? { body?: Content<NonNullable<B>> } : object;

/** What a request takes: parameters, body, headers, and how long to wait. */
export type RequestOptions<O> = CallOptions & { headers?: Record<string, string> } & Given<"params", Params<O>> & Body<O>;

type Success<O> = O extends { responses: infer All } ? { [S in keyof All & (200 | 201 | 202 | 204)]: Content<All[S]> }[keyof All & (200 | 201 | 202 | 204)] : never;

/** What came: `data`, or as `error` the problem; text if something on the way that is not Galley answered. */
export type Result<T> = { data: T; error?: never; response: Response } | { data?: never; error: Problem | string; response: Response };

type Call<M extends Method> = <P extends PathsWith<M>, O = NonNullable<Operation<P, M>>>(
  path: P,
  ...options: object extends RequestOptions<O> ? [RequestOptions<O>?] : [RequestOptions<O>]
) => Promise<Result<Success<O>>>;

/** Sees each request and each answer. */
export interface Middleware {
  onRequest?(seen: { request: Request }): unknown;
  onResponse?(seen: { request: Request; response: Response }): unknown;
}

/** `rest.GET("/heroes/{id}", { params: { path: { id } } })` */
export type Rest = { [M in Method]: Call<M> } & { use(middleware: Middleware): void };

/** An answer may take so long unless the caller says otherwise. What was asked may have been done or not. */
const ANSWER = 10_000;

interface Asked extends CallOptions {
  params?: { path?: Record<string, unknown>; query?: Record<string, unknown>; header?: Record<string, string> };
  headers?: Record<string, string>;
  body?: unknown;
}

/** REST at this address. */
export function rest(url: string | URL, token?: TokenProvider, timeout = ANSWER): Rest {
  const gateway = gatewayAddress(url);
  const middlewares: Middleware[] = [];

  async function answer(method: Method, path: string, { params = {}, headers, body }: Asked, signal: AbortSignal): Promise<unknown> {
    const address = at(gateway, path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(params.path?.[name]))));
    for (const [name, values] of Object.entries(params.query ?? {})) {
      for (const value of [values].flat()) if (value !== undefined && value !== null) address.searchParams.append(name, String(value));
    }
    const request = new Request(address, { method, signal, headers: { ...params.header, ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    if (body !== undefined && !headers?.["Content-Type"]) request.headers.set("Content-Type", "application/json");
    const present = await shown(token);
    if (present) request.headers.set("Authorization", `Bearer ${present}`);
    for (const { onRequest } of middlewares) await onRequest?.({ request });
    // Not kept from the start: somebody may put another in its place.
    const response = await fetch(request).catch((cause: unknown) => {
      throw new GalleyError("unreachable", `${method} ${path}: nobody answers`, { cause });
    });
    for (const { onResponse } of middlewares) await onResponse?.({ request, response });
    const content = read(await response.text(), response.headers.get("Content-Type") ?? "");
    return response.ok ? { data: content, response } : { error: content, response };
  }

  const call = (method: Method) => (path: string, asked: Asked = {}) =>
    bounded({ timeout, ...asked }, (resolve, reject) => {
      const given = new AbortController();
      answer(method, path, asked, given.signal).then(resolve, reject);
      return () => {
        given.abort();
        return true;
      };
    });
  const calls = Object.fromEntries((["GET", "POST", "PUT", "PATCH", "DELETE"] as const).map((method) => [method, call(method)]));
  return { ...calls, use: (middleware: Middleware) => void middlewares.push(middleware) } as Rest;
}

async function shown(token: TokenProvider | undefined): Promise<string | undefined> {
  try {
    return await token?.();
  } catch (cause) {
    throw new GalleyError("unauthorized", `no token: ${String(cause)}`, { cause });
  }
}

function read(text: string, kind: string): unknown {
  if (!/\bjson\b/.test(kind)) return text || undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new GalleyError("foreign-answer", "an answer was not the JSON that it claims to be", { cause });
  }
}
