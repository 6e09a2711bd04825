import { i18n } from "../i18n/index.svelte";

/** A price as people type it: with a comma or a point, and with the groups of the page's language. Nothing if it is no price. */
export function readPrice(typed: string): number | undefined {
  const bare = typed.replace(/[\s'’]/gu, "");
  const text = i18n.language === "en" && /^\d{1,3}(,\d{3})+(\.\d{1,2})?$/.test(bare) ? bare.replaceAll(",", "") : bare.replace(",", ".");
  const price = Number(text);
  return /^\d+(\.\d{1,2})?$/.test(text) && price <= 1_000_000_000 ? price : undefined;
}

/** A price as a field shows it. */
export const writePrice = (price: number): string => i18n.price(price).replace(/(?<=\d)[\s,](?=\d{3})/gu, "");
