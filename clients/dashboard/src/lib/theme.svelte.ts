import { remember, remembered } from "./memory";

export const themes = ["auto", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

class ThemeChoice {
  value = $state<Theme>(themes.find((theme) => theme === remembered("theme")) ?? "auto");

  constructor() {
    this.#show();
  }

  /** The next one, round and round. */
  next(): void {
    this.value = themes[(themes.indexOf(this.value) + 1) % themes.length] ?? "auto";
    remember("theme", this.value === "auto" ? undefined : this.value);
    this.#show();
  }

  #show(): void {
    document.documentElement.dataset.theme = this.value;
  }
}

export const theme = new ThemeChoice();
