import type { Order, Status } from "galley-client";

/** In the order of an order's life. */
export const statuses = ["PENDING", "IN_PROGRESS", "COMPLETED", "CANCELLED"] as const satisfies readonly Status[];

/** The statuses in a text like `PENDING,COMPLETED`; what is no status is passed over. */
export function readStatuses(text: string | undefined): Status[] {
  const named = new Set(text?.split(","));
  return statuses.filter((status) => named.has(status));
}

/** With this one switched, as the text of an address. */
export function toggled(chosen: readonly Status[], status: Status): string {
  return statuses.filter((one) => (one === status) !== chosen.includes(one)).join(",");
}

/** How long an order took to its end, or has taken until now. */
export function took(order: Order, now: number): number {
  return (order.completed_time ? Date.parse(order.completed_time) : Math.max(now, Date.parse(order.order_time))) - Date.parse(order.order_time);
}
