// Everything that a page says is in its language, whatever the gateway and the browser speak.

import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, useBrowser } from "./browser.js";
import { accessible, kitchen, order, visit } from "./dashboard.js";

useBrowser();

const languages = {
  fr: {
    allergy: "Allergie : Crème fraîche", request: "Annulée à la demande du héros", number: "n° 1", price: "12,90",
    active: "Des commandes sont encore en attente ou en cours de traitement.",
    gone: "Cette commande n'existe pas ou a été supprimée.", bad: "Certains champs ne conviennent pas.",
    rule: "De 1 à 200 caractères", filled: "Veuillez remplir ce champ.", notPrice: "Un prix tel que 12,50",
    compared: "« amande »", cancel: (id) => `Annuler la commande ${id}`, remove: "Supprimer", save: "Enregistrer",
    foreign: /\b(the|is|are|was|must|not|there|order|cancelled|conflict|and)\b/i,
    create: "Créer", newMeal: "Nouveau plat", newHero: "Nouveau héros", name: "Nom", planet: "Planète d'origine", cost: "Prix",
  },
  en: {
    allergy: "Allergy: Crème fraîche", request: "Cancelled at the hero's request", number: "No. 1", price: "12.90",
    active: "Orders on this are still pending or in progress.",
    gone: "This order does not exist, or was deleted.", bad: "Some fields are not right.",
    rule: "1 to 200 characters", filled: "Please fill in this field.", notPrice: "A price such as 12.50",
    compared: "“peanut”", cancel: (id) => `Cancel order ${id}`, remove: "Delete", save: "Save",
    foreign: /\b(le|la|les|est|une?|commande|annulée|héros|et)\b/i,
    create: "Create", newMeal: "New meal", newHero: "New hero", name: "Name", planet: "Origin planet", cost: "Price",
  },
};

for (const [language, words] of Object.entries(languages)) {
  test(`orders, prices and problems are told in ${language}`, async (t) => {
    const expected = /status of (404|409|422)/;
    const { galley, open } = await kitchen(t, browser, "1h", { language, expected });
    const ask = (path, body) => galley.ask("POST", path, body);
    await ask("/meals", { name: "Gratin", price: 12.9, origin_planet: "Mars", ingredients: ["Crème fraîche"] });
    const page = await open();
    for (const meal_id of [1, 2]) await ask("/orders", { hero_id: 1, meal_id });
    await order(page, 1, "IN_PROGRESS").getByText(words.number, { exact: true }).waitFor();
    await order(page, 2, "CANCELLED").getByText(words.allergy).waitFor();
    await page.getByText(words.price, { exact: true }).waitFor();
    // An order that is still being prepared keeps its meal.
    await visit(page, "#/manage?kind=meals&id=1");
    await page.getByRole("button", { name: words.remove, exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: words.remove }).click();
    await page.getByRole("alert").getByText(words.active).waitFor();
    await visit(page, "#/kitchen?order=2");
    await page.getByRole("dialog").getByText(words.allergy).waitFor();
    await closed(page);
    await visit(page, "#/kitchen?order=999");
    await page.getByText(words.gone).waitFor();
    await closed(page);
    await ask("/orders/1/cancel", {});
    await order(page, 1, "CANCELLED").getByText(words.request).waitFor();
    assert.doesNotMatch(await page.getByRole("main").innerText(), words.foreign);
    // An order that was ended in another language is told in that of the page.
    const other = language === "fr" ? "en" : "fr";
    await page.getByRole("button", { name: new RegExp(`^${other.toUpperCase()} –`) }).click();
    await order(page, 1, "CANCELLED").getByText(languages[other].request).waitFor();
    // So is what comes from now on: by requests at once, and by the next connection.
    const [socket, request] = [page.waitForEvent("websocket"), page.waitForRequest(/meals/)];
    await visit(page, "#/manage?kind=meals");
    await visit(page, "#/order?hero=1");
    assert.match((await socket).url(), new RegExp(`lang=${other}`));
    assert.equal((await request).headers()["accept-language"], other);
    assert.equal(await page.evaluate(() => document.documentElement.lang), other);
  });

  test(`forms take and refuse in ${language}`, async (t) => {
    // The browser speaks the other language.
    const { galley, open } = await kitchen(t, browser, "0s", { language: language === "fr" ? "en" : "fr", expected: /status of 422/ });
    await galley.ask("POST", "/meals", { name: "Gratin", price: 12.9, origin_planet: "Mars" });
    const page = await open("#/manage?kind=meals&id=2");
    await page.getByRole("button", { name: new RegExp(`^${language.toUpperCase()} –`) }).click();
    const price = page.getByLabel(words.cost, { exact: true });
    assert.equal(await price.inputValue(), words.price);
    const validity = (field) => field.evaluate((input) => (input.checkValidity(), input.validationMessage));
    await price.fill("12,345");
    if (language === "fr") assert.match(await validity(price), new RegExp(words.notPrice));
    await price.fill("dear");
    assert.match(await validity(price), new RegExp(words.notPrice));
    for (const [typed, taken] of [["13,5", 13.5], ["14.25", 14.25]]) {
      await price.fill(typed);
      await page.getByRole("button", { name: words.save }).click();
      await page.waitForFunction((name) => !document.querySelector("main")?.textContent.includes(name), language === "fr" ? "non enregistrées" : "Unsaved");
      assert.equal((await galley.ask("GET", "/meals/2")).price, taken);
    }
    const planet = page.getByLabel(words.planet);
    await planet.fill("");
    assert.equal(await validity(planet), words.filled);
    await planet.fill("\u200b\u0007");
    await page.getByRole("button", { name: words.save }).click();
    await page.getByRole("alert").getByText(words.bad).waitFor();
    await page.getByText(words.rule).waitFor();
    await page.evaluate(() => scrollTo(0, 0));
    await accessible(page, "a form that was refused");
  });

  test(`where an allergy or an ingredient is typed, it says in ${language} what is compared`, async (t) => {
    const { open } = await kitchen(t, browser, "0s", { language });
    const page = await open();
    await page.getByRole("button", { name: words.newHero }).click();
    await page.getByRole("dialog").getByText(words.compared).waitFor();
    await page.keyboard.press("Escape");
    for (const address of ["#/manage?id=1", "#/manage?kind=meals&id=1"]) {
      await visit(page, address);
      await page.locator("form").getByText(/peanut|amande/).waitFor();
    }
  });
}

test("the slash leads to the search of every view", async (t) => {
  const { open } = await kitchen(t, browser, "0s");
  const page = await open();
  for (const address of ["#/order?hero=1", "#/kitchen", "#/manage", "#/console"]) {
    await visit(page, address);
    await page.getByRole("main").focus();
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement?.tagName), "INPUT", address);
  }
});

/** Closes the order that is shown; its address goes with it. */
async function closed(page) {
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => !location.hash.includes("order="));
}
