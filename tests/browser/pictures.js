// Takes the pictures of the README: `npm run pictures`, after `cargo build --workspace --bins`.

import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { launch, watched } from "./browser.js";
import { connected, order, visit } from "./dashboard.js";
import { start } from "./galley.js";

const folder = resolve(import.meta.dirname, "../../docs/pictures");
const SIZE = { width: 1280, height: 800 };
/** As long as the plots need to have something to show. */
const TRAFFIC = 75_000;

const galley = await start("--processing-delay", "1s..6s");
const browser = await launch();
await mkdir(folder, { recursive: true });
try {
  const open = async (options) => {
    const pages = await watched(browser, galley.url, { reducedMotion: "reduce", viewport: SIZE, ...options });
    return [await pages.context.newPage(), () => pages.close()];
  };
  const take = (page, name) => page.screenshot({ path: `${folder}/${name}.png` });

  const [kitchen, closeKitchen] = await open({ colorScheme: "dark", locale: "en-GB" });
  await kitchen.goto("/#/kitchen");
  await connected(kitchen);
  // Waves of orders, as at lunch.
  const began = Date.now();
  for (let placed = 0; Date.now() - began < TRAFFIC; placed++) {
    const body = { hero_id: 1 + Math.floor(Math.random() * 6), meal_id: 1 + Math.floor(Math.random() * 12) };
    await galley.ask("POST", "/orders", body);
    const wave = 90 + 70 * Math.sin((Date.now() - began) / 9_000);
    await new Promise((next) => setTimeout(next, wave * (0.5 + Math.random())));
  }
  await take(kitchen, "kitchen");
  await closeKitchen();

  const [page, close] = await open({ colorScheme: "light", locale: "fr-FR" });
  await page.goto("/#/order?hero=1");
  await connected(page);
  for (const name of ["Commander Gratin du cratère", "Commander quand même : Bisque des mers d'Europe", "Commander Sashimi de comète", "Commander Île flottante orbitale"]) {
    await page.getByRole("button", { name, exact: true }).click();
  }
  await page.locator('[data-status="IN_PROGRESS"]').first().waitFor();
  await page.locator(".toast").first().waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Commander Tarte aux poireaux lunaires", exact: true }).click();
  await page.getByRole("button", { name: "Commander Ring Fries of Saturn", exact: true }).click();
  await page.locator('[data-status="IN_PROGRESS"]').first().waitFor();
  await page.locator(".toast").nth(1).waitFor({ state: "attached" });
  await page.evaluate(() => scrollTo(0, 0));
  while ((await page.locator(".toast").count()) > 0) await page.locator(".toast:visible button").click();
  await take(page, "order");
  await close();

  const [phone, closePhone] = await open({ colorScheme: "dark", locale: "fr-FR", viewport: { width: 390, height: 800 } });
  await phone.goto("/#/order?hero=2");
  await connected(phone);
  await order(phone, 1).or(phone.locator("[data-order]")).first().waitFor();
  await take(phone, "phone");
  await closePhone();

  const [console_, closeConsole] = await open({ colorScheme: "light", locale: "en-GB" });
  await console_.goto("/#/console?hero=4");
  await connected(console_);
  for (const line of ["help", "order 12", '{"type":"cancel","id":1,"order_id":1,"reason":"too late"}']) {
    await console_.getByLabel("Command", { exact: true }).fill(line);
    await console_.getByLabel("Command", { exact: true }).press("Enter");
  }
  await console_.locator('[data-direction="received"]', { hasText: "COMPLETED" }).last().waitFor();
  await take(console_, "console");

  await visit(console_, "#/manage?id=1");
  await console_.getByLabel("Planet").fill("Mercury");
  await galley.ask("PATCH", "/heroes/1", { planet: "Vénus", allergies: ["crustacés", "arachide", "sésame"] });
  await console_.getByRole("button", { name: "Save", exact: true }).click();
  await console_.getByText("Nothing was overwritten.").waitFor();
  await take(console_, "conflict");
  await closeConsole().catch(() => {});
} finally {
  await browser.close();
  await galley.stop();
}
