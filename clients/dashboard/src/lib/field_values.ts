// The values of the fields of a form, checked against the schema. The gateway checks them again and decides.

import type { Field, Schema } from "./wire_document.svelte";

/** Why a field cannot be sent, with the bound that it does not keep. */
export interface Mistake {
  kind: "required" | "integer" | "number" | "minimum" | "maximum" | "minLength" | "maxLength" | "maxItems" | "pattern" | "json";
  bound?: number;
}

/** The value of a field, nothing if it is left out, or a mistake. */
export function valueOf({ kind, required, schema }: Field, typed: string | string[]): { value?: unknown; mistake?: Mistake } {
  if (typed.length === 0) return required && kind !== "choices" ? { mistake: { kind: "required" } } : {};
  if (Array.isArray(typed)) {
    const { maxItems = Infinity } = schema;
    return typed.length > maxItems ? { mistake: { kind: "maxItems", bound: maxItems } } : { value: schema.items?.enum?.filter((value) => typed.includes(String(value))) };
  }
  switch (kind) {
    case "choice":
    case "choices":
      return { value: schema.enum?.find((value) => String(value) === typed) };
    case "flag":
      return { value: typed === "true" };
    case "integer":
    case "number":
      return number(kind, schema, typed);
    case "id": {
      const number = Number(typed);
      return /^-?\d+$/.test(typed) && Number.isSafeInteger(number) ? { value: number } : text(schema.anyOf?.find(({ type }) => type === "string") ?? {}, typed);
    }
    case "text":
      return text(schema, typed);
    case "json":
      try {
        return { value: JSON.parse(typed) as unknown };
      } catch {
        return { mistake: { kind: "json" } };
      }
  }
}

function number(kind: "integer" | "number", { minimum = -Infinity, maximum = Infinity }: Schema, typed: string) {
  const value = Number(typed.trim().replace(",", "."));
  const good = typed.trim() !== "" && (kind === "integer" ? Number.isSafeInteger(value) : Number.isFinite(value));
  if (!good) return { mistake: { kind } };
  if (value < minimum) return { mistake: { kind: "minimum" as const, bound: minimum } };
  return value > maximum ? { mistake: { kind: "maximum" as const, bound: maximum } } : { value };
}

function text({ minLength = 0, maxLength = Infinity, pattern }: Schema, value: string) {
  // JSON Schema counts characters, not halves of them.
  const length = [...value].length;
  if (length < minLength) return { mistake: { kind: "minLength" as const, bound: minLength } };
  if (length > maxLength) return { mistake: { kind: "maxLength" as const, bound: maxLength } };
  return pattern !== undefined && !new RegExp(pattern, "u").test(value) ? { mistake: { kind: "pattern" as const } } : { value };
}
