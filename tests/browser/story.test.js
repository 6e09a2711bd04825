// The whole story, in both languages and both themes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, useBrowser } from "./browser.js";
import { accessible, connected, kitchen, order, visit } from "./dashboard.js";

useBrowser();

const french = {
  newHero: "Nouveau héros", name: "Nom", planet: "Planète", allergies: "Allergies", create: "Créer",
  undo: "Ne pas supprimer", order: (meal) => `Commander ${meal}`, anyway: (meal) => `Commander quand même : ${meal}`, allergy: "Allergie : peanut",
  cancel: (id) => `Annuler la commande ${id}`, remove: (id) => `Supprimer la commande ${id}`, reason: "Motif",
  status: { PENDING: "en attente", IN_PROGRESS: "en cours de traitement", COMPLETED: "terminée", CANCELLED: "annulée" },
  details: (id) => `Détails de la commande ${id}`, events: ["passée", "préparation commencée", "terminée"], close: "Fermer",
  newMeal: "Nouveau plat", price: "Prix", origin: "Planète d'origine", ingredients: "Ingrédients", save: "Enregistrer",
  conflict: "Quelqu'un d'autre a modifié cette fiche entre-temps", mine: "Enregistrer le mien", meals: "Plats",
  pause: "Pause", resume: "Reprendre", missed: "changements entre-temps", command: "Commande", lost: "personne ne répond",
  views: ["Commander", "Cuisine", "Gérer", "Console", "Exploitation"],
};
const english = {
  newHero: "New hero", name: "Name", planet: "Planet", allergies: "Allergies", create: "Create",
  undo: "Undo", order: (meal) => `Order ${meal}`, anyway: (meal) => `Order anyway: ${meal}`, allergy: "Allergy: peanut",
  cancel: (id) => `Cancel order ${id}`, remove: (id) => `Delete order ${id}`, reason: "Reason",
  status: { PENDING: "pending", IN_PROGRESS: "in progress", COMPLETED: "completed", CANCELLED: "cancelled" },
  details: (id) => `Details of order ${id}`, events: ["ordered", "preparation began", "completed"], close: "Close",
  newMeal: "New meal", price: "Price", origin: "Origin planet", ingredients: "Ingredients", save: "Save",
  conflict: "Somebody else changed this meanwhile", mine: "Save mine over it", meals: "Meals",
  pause: "Pause", resume: "Resume", missed: "changes meanwhile", command: "Command", lost: "nobody answers",
  views: ["Order", "Kitchen", "Manage", "Console", "Operations"],
};

for (const [language, theme, words] of [["fr", "light", french], ["en", "dark", english]]) {
  test(`the story of a meal, in ${language} and ${theme}`, async (t) => {
    const expected = /status of 412/;
    const { galley, open } = await kitchen(t, browser, "1s", { language, theme, expected });
    await galley.ask("POST", "/meals", { name: "Satay", price: 12, origin_planet: "Titan", ingredients: ["Peanut"] });
    const button = (page, name) => page.getByRole("button", { name, exact: true });
    const page = await open("");
    assert.equal(await page.locator("html").getAttribute("lang"), language);
    assert.deepEqual(await page.getByRole("navigation").getByRole("link").allInnerTexts(), words.views);
    await accessible(page, "nobody has been chosen");

    // A hero is made, who cannot eat everything.
    await button(page, words.newHero).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel(words.name).fill("Nova");
    await dialog.getByLabel(words.planet).fill("Vega");
    await dialog.getByLabel(words.allergies).fill("peanut");
    await dialog.getByLabel(words.allergies).press("Enter");
    await accessible(page, "a new hero");
    await button(dialog, words.create).click();
    await connected(page);
    await page.getByText(words.allergy).waitFor();

    // Two tabs agree, from the first state to the last.
    const other = await open(new URL(page.url()).hash);
    await button(page, words.order("Soup")).click();
    for (const status of ["IN_PROGRESS", "COMPLETED"]) {
      for (const tab of [page, other]) await order(tab, 1, status).getByText(words.status[status], { exact: true }).waitFor();
    }
    // Against the advice: the worker finds what the menu marked.
    await button(page, words.anyway("Satay")).click();
    await order(other, 2, "CANCELLED").getByText("Peanut").waitFor();
    await accessible(page, "orders");

    // Filters are in the address.
    await page.getByRole("button", { name: new RegExp(`^${words.status.CANCELLED}`) }).click();
    await order(page, 1).waitFor({ state: "detached" });
    assert.match(page.url(), /status=CANCELLED/);
    await page.reload();
    await order(page, 2).waitFor();
    assert.equal(await order(page, 1).count(), 0);
    await button(page, words.remove(2)).click();
    await page.getByText(words.undo, { exact: true }).waitFor();
    await accessible(page, "a deletion can be undone");
    for (const tab of [page, other]) await order(tab, 2).waitFor({ state: "detached" });
    await other.close();

    // The kitchen sees it all: totals, a timeline, and can hold still.
    await visit(page, "#/kitchen?status=COMPLETED");
    await order(page, 1, "COMPLETED").waitFor();
    const total = page.getByRole("button", { name: new RegExp(`^${words.status.COMPLETED} 1$`) });
    await total.waitFor();
    await accessible(page, "the kitchen");
    await button(page, words.details(1)).click();
    for (const event of words.events) await page.getByRole("dialog").getByRole("listitem").filter({ hasText: event }).waitFor();
    assert.match(page.url(), /order=1/);
    await accessible(page, "a timeline");
    await button(page.getByRole("dialog"), words.close).click();
    await button(page, words.pause).click();
    await galley.ask("POST", "/orders", { hero_id: 1, meal_id: 1 });
    await page.getByText(words.missed).waitFor();
    assert.equal(await order(page, 3).count(), 0);
    await button(page, words.resume).click();
    await order(page, 3, "COMPLETED").waitFor();

    // A meal is made, and changed by two people at once.
    await visit(page, "#/manage?kind=meals");
    await button(page, words.newMeal).click();
    await page.getByLabel(words.name).fill("Bisque");
    await page.getByLabel(words.price).fill("22.5");
    await page.getByLabel(words.origin).fill("Europa");
    await page.getByLabel(words.ingredients).fill("crème fraîche");
    await button(page, words.create).click();
    await page.getByRole("heading", { name: "Bisque" }).waitFor();
    await galley.ask("PATCH", "/meals/3", { price: 30 });
    await page.getByLabel(words.planet).fill("Ganymede");
    await button(page, words.save).click();
    await page.getByRole("heading", { name: words.conflict }).waitFor();
    assert.equal((await galley.ask("GET", "/meals/3")).origin_planet, "Europa", "nothing was overwritten");
    await accessible(page, "a conflict");
    await page.getByLabel(words.price).fill("30");
    await button(page, words.mine).click();
    await page.getByRole("heading", { name: words.conflict }).waitFor({ state: "detached" });
    const { price, origin_planet, version } = await galley.ask("GET", "/meals/3");
    assert.deepEqual([price, origin_planet, version], [30, "Ganymede", 3]);

    // The console speaks as websocat does.
    await visit(page, "#/console?hero=1");
    await page.getByLabel(words.command, { exact: true }).fill('{"type":"ping","id":"eight"}');
    await page.getByLabel(words.command, { exact: true }).press("Enter");
    await page.locator('[data-direction="received"]', { hasText: '{"type":"pong","id":"eight"}' }).waitFor();
    await page.getByLabel(words.command, { exact: true }).fill("order 1");
    await page.getByLabel(words.command, { exact: true }).press("Enter");
    await page.locator('[data-direction="received"]', { hasText: '"status":"PENDING"' }).first().waitFor();
    await accessible(page, "the console");
  });
}

test("an order is cancelled with a reason in one tab and seen cancelled in the other", async (t) => {
  const { galley, open } = await kitchen(t, browser, "1h");
  const [page, other] = [await open(), await open()];
  await page.getByRole("button", { name: "Order Soup" }).click();
  await order(other, 1, "IN_PROGRESS").waitFor();
  await other.getByRole("button", { name: "Cancel order 1" }).click();
  await other.getByLabel("Reason").fill("changed my mind");
  await other.getByRole("dialog").getByRole("button", { name: "Cancel order 1" }).click();
  await Promise.all([page, other].map((tab) => order(tab, 1, "CANCELLED").getByText("changed my mind").waitFor()));
  assert.equal((await galley.ask("GET", "/orders/1")).reason, "hero_request");
  await page.reload();
  await order(page, 1, "CANCELLED").waitFor();
});

test("the menu marks what the worker would refuse", async (t) => {
  const { galley, open } = await kitchen(t, browser, "0s");
  const ingredients = ["creme fraiche", "CRÈME\u00a0FRAÎCHE", "crème fraiche épaisse", "fraîche"];
  for (const ingredient of ingredients) {
    await galley.ask("POST", "/meals", { name: `With ${ingredient}`, price: 1, origin_planet: "Mars", ingredients: [ingredient] });
  }
  const page = await open();
  const menu = page.locator(".menu li");
  await menu.nth(ingredients.length).waitFor();
  for (const card of await menu.all()) {
    const marked = (await card.locator("mark").count()) > 0;
    await card.getByRole("button").click();
    const placed = await order(page, await newest(page)).getAttribute("data-order");
    const { status } = await ended(galley, placed);
    assert.equal(marked, status === "CANCELLED", await card.innerText());
  }
});

/** Waits for one order more than were seen before, and gives its number. */
async function newest(page) {
  page.seen = (page.seen ?? 0) + 1;
  await order(page, page.seen).waitFor();
  return page.seen;
}

async function ended(galley, id) {
  for (;;) {
    const order = await galley.ask("GET", `/orders/${id}`);
    if (order.completed_time) return order;
  }
}
