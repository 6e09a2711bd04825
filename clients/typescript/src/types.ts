// The words of the service. Everything comes from the generated documents; here it only gets short names.

import type { components } from "./generated/frames.js";
import type { components as rest } from "./generated/rest.js";

type Schemas = components["schemas"];

/** What a client says. */
export type ClientFrame = Schemas["ClientFrame"];
/** What the gateway says. */
export type ServerFrame = Schemas["ServerFrame"];
/** The frame of one type that the gateway says. */
export type Frame<T extends ServerFrame["type"]> = Extract<ServerFrame, { type: T }>;
/** The command of one type, without the id that the client puts on it. */
export type Command<T extends ClientFrame["type"] = ClientFrame["type"]> = T extends unknown
  ? Omit<Extract<ClientFrame, { type: T }>, "id">
  : never;
/** What to watch. */
export type Watch = Omit<Command<"watch">, "type">;

export type Hero = Schemas["Hero"];
export type Order = Schemas["Order"];
export type Deleted = Schemas["Deleted"];
export type Status = Schemas["Status"];
export type Reason = Schemas["Reason"];
export type Totals = Schemas["Totals"];
export type Problem = Schemas["Problem"];
export type Meal = rest["schemas"]["Meal"];
export type NewHero = rest["schemas"]["NewHero"];
export type NewMeal = rest["schemas"]["NewMeal"];
/** An order with the names of its hero and its meal, as REST reads it. */
export type OrderView = rest["schemas"]["OrderView"];
/** The state of the service, for staff. */
export type OperationsReport = rest["schemas"]["OperationsReport"];
/** How people sign in. */
export type SignInReport = rest["schemas"]["SignInReport"];
export type SignInClient = rest["schemas"]["SignInClient"];
export type ProviderEndpoints = rest["schemas"]["ProviderEndpoints"];
export type WantedTokens = rest["schemas"]["WantedTokens"];
/** Whose a token is. */
export type CallerReport = rest["schemas"]["CallerReport"];
/** One second of the service. */
export type HistorySecond = rest["schemas"]["HistorySecond"];
/** A gateway or a worker. */
export type ObservedProcess = rest["schemas"]["ObservedProcess"];

/** A page of a list; `next_cursor` is `null` on the last. */
export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** Whether an order may still change by itself. */
export const isActive = ({ status }: Pick<Order, "status">): boolean => status === "PENDING" || status === "IN_PROGRESS";
