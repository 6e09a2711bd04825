// Views at every width, in both languages and themes and in the system's own colours.
// A picture of each case is left in `pictures/`, or where GALLEY_PICTURES says, to be looked at; none is compared.

import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { faults } from "./layout.js";

const pictures = process.env.GALLEY_PICTURES ?? resolve(import.meta.dirname, "pictures");
const sizes = { 360: 740, 768: 1024, 1440: 900, 2560: 1440 };
export const look = (width, language, theme, forced = "none") => ({ size: { width, height: sizes[width] }, language, theme, forced });
/** Every width in both languages and both themes, and the system's own colours on a phone and on a desk. */
const looks = [
  ...Object.keys(sizes).flatMap((width) =>
    ["en", "fr"].flatMap((language) => ["light", "dark"].map((theme) => look(Number(width), language, theme))),
  ),
  look(360, "fr", "light", "active"),
  look(1_440, "en", "dark", "active"),
];

mkdirSync(pictures, { recursive: true });

/** Looks at views one after another, and at each in every look. */
export async function lookAt(page, wrong, state, views, galley) {
  for (const [name, { address, prepare = async () => {}, leave = async () => {}, isSmall }] of Object.entries(views)) {
    await page.setViewportSize({ width: 1440, height: 900 });
    if (address) await visit(page, address);
    await prepare(page, galley);
    for (const { size, language, theme, forced } of looks) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme: theme, forcedColors: forced });
      await page.evaluate((language) => document.querySelector(`button[lang="${language}"]`).click(), language);
      await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
      const where = [state, name, size.width, language, theme, ...(forced === "active" ? ["forced"] : [])].join("-");
      for (const fault of await faults(page)) wrong.push(`${where}: ${fault}`);
      if (size.width === 2_560 && !isSmall) wrong.push(...(await narrow(page)).map((fault) => `${where}: ${fault}`));
      await page.screenshot({ path: `${pictures}/${where}.jpg`, type: "jpeg", quality: 60 });
    }
    await leave(page);
    await page.keyboard.press("Escape");
  }
}

/** Goes to another view of the same page. Without a connection what is missing there goes on loading. */
export async function visit(page, address) {
  await page.evaluate((address) => (location.hash = address), address);
  if (await page.locator('.connection[data-state="connected"]').isVisible()) await page.locator(".skeleton").first().waitFor({ state: "detached" });
}

/** The content of a wide window takes most of its width. */
async function narrow(page) {
  const [left, right] = await page.evaluate(() => {
    const shown = [...document.querySelectorAll("main *")].filter((element) => element.checkVisibility()).map((element) => element.getBoundingClientRect());
    return [Math.min(...shown.map(({ left }) => left)), Math.max(...shown.map(({ right }) => right))];
  });
  const share = (right - left) / page.viewportSize().width;
  return share > 0.9 ? [] : [`only ${Math.round(share * 100)} % of the width is used`];
}
