// A service whose names, lists, prices and texts are as long as they may be, with orders in every status.

import { start } from "./galley.js";

const LONG = "W".repeat(200);
const RIGHT_TO_LEFT = "مطبخ المجرة الكبير";
const MANY = Array.from({ length: 100 }, (_, index) => `ingredient number ${index + 1}`);
const SENTENCE = "Slowly simmered on the dark side, with a crust of comet dust and far more words than a card has room for. ".repeat(18).trim();

const HEROES = [
  { name: "Zoé", planet: "Earth", allergies: ["crème fraîche", "peanut"] },
  { name: LONG, planet: LONG, allergies: [LONG] },
  { name: RIGHT_TO_LEFT, planet: "القمر", allergies: ["فول سوداني"] },
  { name: "Captain of a ship with a rather long name and spaces in it", planet: "Kepler-452b", allergies: MANY },
  ...Array.from({ length: 20 }, (_, index) => ({ name: `Hero ${index + 5}`, planet: "Mars", allergies: [] })),
];

const MEALS = [
  { name: "Soup", price: 9.5, origin_planet: "Mars", description: "Hot.", ingredients: ["leek", "crème fraîche"] },
  { name: LONG, price: 999_999_999.99, origin_planet: LONG, description: LONG, ingredients: [LONG] },
  { name: RIGHT_TO_LEFT, price: 12.9, origin_planet: "القمر", description: "طبق اليوم", ingredients: ["فول سوداني", "أرز"] },
  { name: "Everything", price: 1_000_000_000, origin_planet: "Saturn", description: SENTENCE, ingredients: MANY },
  { name: "Allergic to a name of many words on more than one line", price: 0, origin_planet: "Io", ingredients: ["crème fraîche", "peanut"] },
  ...Array.from({ length: 20 }, (_, index) => ({ name: `Meal ${index + 6}`, price: index, origin_planet: "Europa", ingredients: ["salt"] })),
];

/** Starts it. The first hero has orders of every meal and of every end. */
export async function crowded() {
  const galley = await start("--no-seed", "--processing-delay", "0s", "--drain", "0s");
  for (const hero of HEROES) await galley.ask("POST", "/heroes", hero);
  for (const meal of MEALS) await galley.ask("POST", "/meals", { description: "", ...meal });
  const place = (hero_id, meal_id) => galley.ask("POST", "/orders", { hero_id, meal_id });
  for (let meal = 1; meal <= MEALS.length; meal++) await place(1 + (meal % 4), meal);
  for (let meal = 1; meal <= 8; meal++) await place(1, meal);
  while ((await galley.ask("GET", "/orders?status=PENDING&status=IN_PROGRESS")).items.length > 0);
  // From now on nothing ends by itself, so that every picture has orders under way.
  await galley.leave();
  await galley.restart("--no-seed", "--processing-delay", "1h", "--drain", "0s");
  for (let meal = 1; meal <= 8; meal++) await place(1 + (meal % 2), meal);
  const { id } = await place(1, 2);
  await galley.ask("POST", `/orders/${id}/cancel`, { reason: SENTENCE });
  return galley;
}
