import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

/** For `npm run dev`: the gateway that answers. */
const gateway = process.env.GALLEY_URL ?? "http://127.0.0.1:8080";
const service = ["/ws", "/heroes", "/meals", "/orders", "/events", "/operations", "/sign-in", "/me", "/readyz", "/docs", "/openapi.json", "/asyncapi.json"];

export default defineConfig({
  plugins: [svelte()],
  // Relative to the page, because `GALLEY_BASE_PATH` is not known here.
  base: "./",
  build: {
    target: "es2023",
    // The content security policy allows no `data:`.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: Object.fromEntries(service.map((path) => [path, { target: gateway, ws: path === "/ws" }])) },
});
