import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

// Without the ways of older Svelte, what they need is not in the bundle.
export default { preprocess: vitePreprocess(), compilerOptions: { runes: true, discloseVersion: false } };
