// The page of one hero: its menu, and its orders as they change. Text from the service goes into text nodes only.

const byId = (id) => document.getElementById(id);
const icons = { PENDING: "⏳", IN_PROGRESS: "🍳", COMPLETED: "✅", CANCELLED: "🚫" };
const words = { PENDING: "pending", IN_PROGRESS: "in progress", COMPLETED: "completed", CANCELLED: "cancelled" };

/** The newest state of every order of the hero, and of every deleted one its version. */
let orders = new Map();
let meals = new Map();
let socket;
let cursor;
let attempt = 0;

function element(name, text, attributes = {}) {
  const made = Object.assign(document.createElement(name), attributes);
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(label, name, action) {
  const made = element("button", label, { type: "button", onclick: action });
  made.setAttribute("aria-label", name);
  return made;
}

function complain(problem) {
  byId("problem").textContent = problem ? `${problem.title}: ${problem.detail}` : "";
  byId("problem").hidden = !problem;
}

function send(command) {
  complain();
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(command));
  else complain({ title: "Not connected", detail: "nothing was sent; try again when the connection is back" });
}

/** Of two states of an order the one with the higher version is the newer, whatever the order of their coming. */
function learn(order) {
  const known = orders.get(order.id);
  if (!known || known.version < order.version) orders.set(order.id, order);
}

function forget({ order_id, version }) {
  orders.set(order_id, { id: order_id, version, deleted: true });
}

function showOrders() {
  const rows = [...orders.values()].filter((order) => !order.deleted).sort((one, other) => other.id - one.id);
  byId("orders").replaceChildren(
    ...rows.slice(0, 100).map((order) => {
      const row = element("tr");
      row.dataset.order = order.id;
      row.dataset.status = order.status;
      const active = order.status === "PENDING" || order.status === "IN_PROGRESS";
      const action = element("td");
      action.append(
        active
          ? button("Cancel", `Cancel order ${order.id}`, () => send({ type: "cancel", order_id: order.id }))
          : button("Delete", `Delete order ${order.id}`, () => send({ type: "delete", order_id: order.id })),
      );
      row.append(
        element("td", order.id),
        element("td", meals.get(order.meal_id)?.name ?? `meal ${order.meal_id}`),
        element("td", `${icons[order.status]} ${words[order.status]}`),
        element("td", order.message ?? ""),
        action,
      );
      return row;
    }),
  );
}

function showMenu() {
  byId("menu").replaceChildren(
    ...[...meals.values()].map((meal) => {
      const entry = element("li");
      const label = `${meal.name}, ${meal.price.toFixed(2)}`;
      const key = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
      entry.append(
        element("span", label),
        button("Order", `Order ${meal.name}`, () => send({ type: "place", meal_id: meal.id, key: key() })),
        element("small", meal.ingredients.join(", ")),
      );
      return entry;
    }),
  );
}

function hear(frame) {
  switch (frame.type) {
    case "welcome":
      attempt = 0;
      byId("connection").textContent = "connected";
      frame.orders.forEach(learn);
      (frame.deleted ?? []).forEach(forget);
      if (frame.resume !== "resumed") send({ type: "orders", id: "orders", limit: 100 });
      send({ type: "menu", id: "menu" });
      break;
    case "order":
      learn(frame.order);
      break;
    case "deleted":
      forget(frame);
      break;
    case "resync":
      frame.orders.forEach(learn);
      (frame.deleted ?? []).forEach(forget);
      break;
    case "reply":
      if (frame.id === "menu") {
        meals = new Map(frame.items.map((meal) => [meal.id, meal]));
        showMenu();
      } else if (frame.id === "orders") frame.items.forEach(learn);
      else if (frame.order) learn(frame.order);
      break;
    case "error":
      complain(frame.problem);
      break;
  }
  cursor = frame.cursor ?? cursor;
  showOrders();
}

function connect(heroId) {
  const url = new URL("/ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("hero_id", heroId);
  if (cursor) url.searchParams.set("cursor", cursor);
  byId("connection").textContent = "connecting";
  const opened = new WebSocket(url, "galley.v1");
  socket = opened;
  opened.onmessage = ({ data }) => opened === socket && hear(JSON.parse(data));
  opened.onclose = () => {
    if (opened !== socket) return;
    // Full jitter, so that the pages of a restarted gateway do not come back all at once.
    const pause = Math.random() * Math.min(10_000, 250 * 2 ** attempt++);
    byId("connection").textContent = "connection lost, trying again";
    setTimeout(() => opened === socket && connect(heroId), pause);
  };
}

function choose(heroId) {
  orders = new Map();
  cursor = undefined;
  complain();
  showOrders();
  const old = socket;
  socket = undefined;
  old?.close(1000);
  connect(heroId);
}

const select = byId("hero");
select.onchange = () => choose(select.value);
const answer = await fetch("/heroes?limit=100");
if (answer.ok) {
  for (const hero of (await answer.json()).items) {
    select.append(element("option", `${hero.name} (${hero.planet})`, { value: hero.id }));
  }
  if (select.value) choose(select.value);
  else byId("connection").textContent = "there is no hero yet";
} else complain(await answer.json());
