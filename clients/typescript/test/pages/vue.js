import { createApp, h } from "vue";
import { useConnection, useGalley, useOrders, usePending } from "galley-client/vue";

const query = new URLSearchParams(location.search);

const app = createApp({
  setup() {
    const galley = useGalley({ url: query.get("url"), heroId: Number(query.get("hero")) });
    globalThis.client = galley;
    const [orders, connection, pending] = [useOrders(galley), useConnection(galley), usePending(galley)];
    return () => [
      h("p", { id: "state" }, connection.value.name),
      h("p", { id: "pending" }, pending.value.length),
      h("button", { onClick: () => galley.place(Number(query.get("meal"))) }, "Order"),
      h("ul", orders.value.map(({ id, status }) => h("li", { key: id }, status))),
    ];
  },
});
app.mount("#app");
globalThis.leave = () => app.unmount();
