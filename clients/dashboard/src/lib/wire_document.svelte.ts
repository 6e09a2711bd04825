// The gateway's description of its frames, `/asyncapi.json`: the commands of each role, their fields, and what each frame means. Forms
// are made from it, so that a command of a later gateway has one without a change here.

import { gateway } from "./gateway";
import { session } from "./session.svelte";

/** The keywords of JSON Schema that are used here. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  oneOf?: Schema[];
  anyOf?: Schema[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
  pattern?: string;
  default?: unknown;
}

interface Message {
  name: string;
  summary?: string;
  payload: Schema;
  "x-senders"?: string[];
}

interface Document {
  operations: Record<string, { action: string; messages: Schema[] }>;
  components: { messages: Record<string, Message>; schemas: Record<string, Schema> };
}

/** One field of a command. */
export interface Field {
  name: string;
  required: boolean;
  about: string;
  kind: "choice" | "choices" | "flag" | "integer" | "number" | "text" | "id" | "json";
  schema: Schema;
}

export interface CommandForm {
  name: string;
  about: string;
  fields: Field[];
}

const NONE: Document = { operations: {}, components: { messages: {}, schemas: {} } };

/** The last part of a reference. */
const nameOf = (schema: Schema): string => schema.$ref?.split("/").at(-1) ?? "";

class WireDocument {
  #document = $state.raw(NONE);
  #asked = false;

  constructor() {
    session.onBack(() => this.#asked && this.#document === NONE && void this.#read());
  }

  /** Reads the document once. Without it there are no forms and no explanations; it is asked for again when the connection is back. */
  load(): void {
    if (!this.#asked) void this.#read();
    this.#asked = true;
  }

  /** The message that a frame is. A command and a frame of the gateway may have one type. */
  messageOf(type: string, sent: boolean): Message | undefined {
    const commands = this.#commands;
    const messages = Object.entries(this.#document.components.messages);
    const is = (message: Message) => message.name === type || this.#object(message.payload).properties?.["type"]?.const === type;
    return messages.find(([name, message]) => commands.includes(name) === sent && is(message))?.[1];
  }

  /** The commands of this role that have the form of an object. */
  commands(role: "hero" | "staff"): CommandForm[] {
    return this.#commands.flatMap((name) => {
      const message = this.#document.components.messages[name];
      if (!message || (message["x-senders"] && !message["x-senders"].includes(role))) return [];
      const payload = this.#object(message.payload);
      if (!payload.properties) return [];
      return [{ name, about: message.summary ?? "", fields: this.#fields(payload) }];
    });
  }

  /** The names of the messages that the gateway receives. */
  get #commands(): string[] {
    const received = Object.values(this.#document.operations).filter(({ action }) => action === "receive");
    return [...new Set(received.flatMap(({ messages }) => messages.map(nameOf)))];
  }

  async #read(): Promise<void> {
    try {
      const answer = await fetch(`${gateway}/asyncapi.json`);
      if (answer.ok) this.#document = (await answer.json()) as Document;
    } catch {
      // The state of the connection tells that the gateway is away.
    }
  }

  /** One object; of several possible ones, all their fields. */
  #object(schema: Schema): Schema {
    const { oneOf, anyOf = oneOf, ...own } = this.#resolve(schema);
    if (!anyOf) return own;
    const members = anyOf.map((member) => this.#object(member));
    const properties = Object.assign({}, ...members.map((member) => member.properties ?? {})) as Record<string, Schema>;
    const required = Object.keys(properties).filter((name) => members.every((member) => member.required?.includes(name)));
    return { ...own, properties, required };
  }

  #fields({ properties = {}, required = [] }: Schema): Field[] {
    const fields = Object.entries(properties).map(([name, given]): Field => {
      const schema = this.#resolve(given);
      return { name, required: required.includes(name), about: schema.description ?? "", kind: this.#kind(schema), schema };
    });
    const asked = fields.filter(({ schema }) => schema.const === undefined);
    return asked.sort((one, other) => Number(other.required) - Number(one.required));
  }

  /** Follows references; what stands beside one goes first. Of "this or null", this. */
  #resolve(schema: Schema, depth = 0): Schema {
    const { $ref: _, oneOf, anyOf = oneOf, ...own } = schema;
    const target = this.#document.components.schemas[nameOf(schema)];
    // A schema that refers to itself has no end.
    if (target && depth < 8) return { ...this.#resolve(target, depth + 1), ...own };
    const members = anyOf?.filter(({ type }) => type !== "null");
    if (members?.length === 1 && depth < 8) return { ...this.#resolve(members[0]!, depth + 1), ...own };
    return members ? { ...own, anyOf: members } : own;
  }

  #kind(schema: Schema): Field["kind"] {
    const types = [schema.type ?? []].flat().filter((type) => type !== "null");
    const members = schema.anyOf?.map((member) => this.#resolve(member).type) ?? types;
    if (schema.enum) return "choice";
    if (members.length === 2 && members.includes("integer") && members.includes("string")) return "id";
    if (types.length !== 1) return "json";
    if (types[0] === "array" && schema.items && this.#resolve(schema.items).enum) {
      schema.items = this.#resolve(schema.items);
      return "choices";
    }
    const known = { boolean: "flag", integer: "integer", number: "number", string: "text" } as const;
    return known[types[0] as keyof typeof known] ?? "json";
  }
}

export const wire = new WireDocument();
