import { createElement as h, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { useConnection, useGalley, useOrders, usePending } from "galley-client/react";

const query = new URLSearchParams(location.search);

function Orders() {
  const galley = useGalley({ url: query.get("url"), heroId: Number(query.get("hero")) });
  globalThis.client = galley;
  const orders = useOrders(galley).map(({ id, status }) => h("li", { key: id }, status));
  const button = h("button", { onClick: () => galley.place(Number(query.get("meal"))) }, "Order");
  return h("main", {}, h("p", { id: "state" }, useConnection(galley).name), h("p", { id: "pending" }, usePending(galley).length), button, h("ul", {}, orders));
}

const root = createRoot(document.getElementById("app"));
// In strict mode every effect runs twice: the client is closed and connects anew.
root.render(h(StrictMode, {}, h(Orders)));
globalThis.leave = () => root.unmount();
