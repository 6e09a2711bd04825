// The language of the page: the one chosen, or else the browser's.

import { remembered, remember } from "../lib/memory";
import { en, type Words } from "./en";

/** One file each, named by the code of the language, which it exports. */
const files = import.meta.glob<Record<string, Words>>("./??.ts", { eager: true });
const languages = new Map(Object.values(files).flatMap((file) => Object.entries(file)));

function preferred(): string {
  const named = [remembered("language"), ...navigator.languages.map((language) => language.split("-")[0])];
  return named.find((name) => name !== undefined && languages.has(name)) ?? "en";
}

class I18n {
  language = $state(preferred());
  readonly words: Words = $derived(languages.get(this.language) ?? en);
  readonly #number = $derived(new Intl.NumberFormat(this.language));
  readonly #price = $derived(new Intl.NumberFormat(this.language, { minimumFractionDigits: 2, maximumFractionDigits: 2 }));
  readonly #seconds = $derived(new Intl.NumberFormat(this.language, { maximumFractionDigits: 1, minimumFractionDigits: 1 }));
  readonly #rate = $derived(new Intl.NumberFormat(this.language, { maximumFractionDigits: 2 }));
  readonly #clock = $derived(new Intl.DateTimeFormat(this.language, { timeStyle: "medium", hourCycle: "h23" }));
  readonly #moment = $derived(new Intl.DateTimeFormat(this.language, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" }));

  choose(language: string): void {
    this.language = language;
    remember("language", language);
  }

  number = (value: number): string => this.#number.format(value);
  price = (value: number): string => this.#price.format(value);
  clock = (time: string | number): string => this.#clock.format(new Date(time));
  moment = (time: string | number): string => this.#moment.format(new Date(time));

  /** A number per second. */
  rate = (value: number): string => this.#rate.format(value);

  /** A duration in whole seconds, or else in the largest units that matter. */
  seconds = (milliseconds: number): string =>
    milliseconds < 59_500 ? `${this.number(Math.round(Math.max(0, milliseconds) / 1_000))} s` : this.duration(milliseconds);

  /** A duration of so many seconds that is a whole number of its largest unit. */
  whole = (seconds: number): string =>
    seconds < 60 ? `${seconds} s` : seconds < 3_600 ? `${seconds / 60} min` : `${seconds / 3_600} h`;

  /** A duration in the largest units that matter. */
  duration = (milliseconds: number): string => {
    const seconds = Math.max(0, milliseconds) / 1_000;
    if (seconds < 60) return `${this.#seconds.format(seconds)} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? `${hours} h ${minutes % 60} min` : this.words.common.days(this.number(Math.floor(hours / 24)));
  };
}

export const i18n = new I18n();
export const allWords = [...languages.values()];
export const allLanguages = [...languages].map(([code, { language }]) => ({ code, name: language }));
