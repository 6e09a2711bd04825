// Problems in the language of the page, in which the gateway answers it. Where the page can say what to do, the type decides.

import { GalleyError, OutboxFull, ProblemError, slugOf, type Order, type Problem } from "galley-client";
import { allWords, i18n } from "../i18n/index.svelte";

type Slug = keyof typeof i18n.words.problems;

/** Problems that only this page knows: no answer came, or none of Galley's. */
const problem = (slug: Slug, status: number, detail: string): Problem => ({ type: `/problems/${slug}`, title: slug, status, detail });

/** A REST call that did not come to an answer. */
export function withoutAnswer(error: unknown): Problem {
  const detail = error instanceof Error ? error.message : String(error);
  return problem(error instanceof Error && error.name === "TimeoutError" ? "no-answer" : "unreachable", 0, detail);
}

/** The problem in an answer; what another server on the way answered is none of Galley's. */
export function ofAnswer(body: unknown, status: number): Problem {
  if (typeof body === "object" && body !== null && "detail" in body && "type" in body) return body as Problem;
  return problem("foreign-answer", status, `status ${status}`);
}

/** A sentence for people. */
export function describe(problem: Problem): string {
  const slug = slugOf(problem);
  const { problems } = i18n.words;
  if (slug in problems) return problems[slug as Slug];
  return `${problem.detail.charAt(0).toLocaleUpperCase(i18n.language)}${problem.detail.slice(1)}.`;
}

/** A sentence about a change that failed. */
export function failureText(error: unknown): string {
  const { connection, order } = i18n.words;
  if (error instanceof ProblemError) return describe(error.problem);
  if (error instanceof OutboxFull) return order.outboxFull;
  const code = error instanceof GalleyError ? error.code : "";
  return code in connection.reasons ? order.unanswered(connection.reasons[code as keyof typeof connection.reasons]) : String(error);
}

/** Whether the same may work in a moment. */
export const passing = ({ status }: Problem): boolean => status === 0 || status === 408 || status === 429 || status >= 500;

/**
 * The message of an order in the language of the page, whatever it was when the order came. Only what people wrote and the names of
 * ingredients, which follow the colon in every language, stay as they are.
 */
export function messageOf({ reason, message }: Order): string {
  const text = message ?? "";
  const { messages, allergic } = i18n.words.order;
  if (reason === null) return text;
  if (reason === "allergy") return allergic(text.slice(text.indexOf(": ") + 1).trim());
  const isOwn = reason === "hero_request" && text !== "" && allWords.every(({ order }) => order.messages.hero_request !== text);
  return isOwn ? text : messages[reason];
}
