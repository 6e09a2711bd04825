// What artillery.yml cannot say: the WebSocket beside the requests, and the time until an order has ended.

const TOKEN = process.env.GALLEY_TOKEN;
const ENDS = ["COMPLETED", "CANCELLED"];
/** An order that has not ended after so many milliseconds is a failure. */
const PATIENCE = 30_000;

export async function authorize(request) {
  if (TOKEN) request.headers = { ...request.headers, Authorization: `Bearer ${TOKEN}` };
}

/** Opens the socket of the hero, and notes when each of its orders ends. */
export async function listen(context) {
  const { target, hero } = context.vars;
  const protocols = TOKEN ? ["galley.v1", `bearer.${TOKEN}`] : ["galley.v1"];
  const socket = new WebSocket(`${target.replace(/^http/, "ws")}/ws?hero_id=${hero}`, protocols);
  const ended = new Map();
  let wake = () => {};
  socket.addEventListener("message", ({ data }) => {
    const frame = JSON.parse(data);
    // After an overload several orders come in one `resync`.
    for (const order of frame.type === "order" ? [frame.order] : (frame.orders ?? [])) {
      if (ENDS.includes(order.status)) ended.set(order.id, { status: order.status, at: performance.now() });
    }
    wake();
  });
  await new Promise((open, failed) => {
    socket.addEventListener("open", open);
    socket.addEventListener("error", failed);
  });
  // The end may come before the answer to the placement.
  const end = (order) =>
    new Promise((resolve) => {
      const late = setTimeout(() => resolve({ status: "late", at: performance.now() }), PATIENCE);
      wake = () => {
        if (!ended.has(order)) return;
        clearTimeout(late);
        resolve(ended.get(order));
      };
      wake();
    });
  context.vars.socket = { socket, end };
}

export async function begin(context) {
  context.vars.began = performance.now();
}

export async function completed(context, events) {
  const { status, at } = await context.vars.socket.end(Number(context.vars.order));
  const good = status === "COMPLETED";
  if (good) events.emit("histogram", "galley.place_to_completed", at - context.vars.began);
  // A counter that never counted cannot be compared.
  events.emit("counter", "galley.not_completed", good ? 0 : 1);
}

export async function leave(context) {
  context.vars.socket.socket.close();
}
