// Measures how a page stands: cells under their headings, nothing that overlaps, is cut or hangs out, text that can be read.
// Everything here runs in the page; each function returns sentences about what is wrong.

/** What is wrong with the page as it is drawn now. */
export const faults = (page) => page.evaluate(measure);

/** Begins to sum up the shifts of the layout, before the page is loaded. */
export const watchShifts = (page) =>
  page.addInitScript(() => {
    globalThis.shifts = [];
    new PerformanceObserver((list) => {
      for (const { value, hadRecentInput, sources } of list.getEntries()) {
        if (!hadRecentInput) globalThis.shifts.push([value, sources.map(({ node }) => node?.className ?? node?.nodeName).join(", ")]);
      }
    }).observe({ type: "layout-shift", buffered: true });
  });

/** The sum of all shifts so far, and what shifted. */
export async function shifted(page) {
  const shifts = await page.evaluate("shifts");
  return { sum: shifts.reduce((sum, [value]) => sum + value, 0), told: shifts.map(([value, what]) => `${value.toFixed(3)} ${what}`).join("\n") };
}

function measure() {
  const found = [];
  const CONTROLS = "button, a[href], input, textarea, select";
  const name = (element) => {
    const text = (element.getAttribute("aria-label") ?? element.textContent ?? "").trim().replace(/\s+/g, " ").slice(0, 40);
    return `<${element.tagName.toLowerCase()} class="${String(element.className?.baseVal ?? element.className).replace(/ ?svelte-\w+/g, "")}"> “${text}”`;
  };
  const styles = new Map();
  const style = (element) => styles.get(element) ?? styles.set(element, getComputedStyle(element)).get(element);
  const round = (...numbers) => numbers.map((number) => Math.round(number)).join(" to ");
  const top = document.querySelector("dialog[open]") ?? document.body;
  const clamped = (element) => style(element).webkitLineClamp !== "none";

  /** Where it can be seen: without what ancestors cut off. */
  function seen(element) {
    const rect = element.getBoundingClientRect();
    const box = { left: rect.left, right: rect.right, top: rect.top, bottom: rect.bottom };
    for (let above = element.parentElement; above; above = above.parentElement) {
      if (above === document.body || style(above).overflow === "visible") continue;
      const clip = above.getBoundingClientRect();
      box.left = Math.max(box.left, clip.left);
      box.right = Math.min(box.right, clip.right);
      box.top = Math.max(box.top, clip.top);
      box.bottom = Math.min(box.bottom, clip.bottom);
      if (style(above).position === "fixed") break;
    }
    return box;
  }
  const hasSize = ({ left, right, top, bottom }) => right - left > 0.5 && bottom - top > 0.5;
  const skipped = (element) => element.closest(".unseen, .skip, .canvas, [aria-hidden=true]") || !element.checkVisibility({ visibilityProperty: true });
  const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());

  const blocks = [...top.querySelectorAll("*")]
    .filter((element) => (element.matches(CONTROLS) || hasText(element)) && !skipped(element))
    .map((element) => ({ element, box: seen(element), rect: element.getBoundingClientRect() }));
  const drawn = blocks.filter(({ box }) => hasSize(box) && box.bottom > 0 && box.top < innerHeight);

  // The page and every box scroll up and down, but not sideways.
  if (document.documentElement.scrollWidth > innerWidth) found.push(`the page is ${document.documentElement.scrollWidth} wide in ${innerWidth}`);
  for (const element of top.querySelectorAll("*")) {
    if (skipped(element)) continue;
    // A field scrolls what is typed by itself.
    if (element.matches("input, textarea")) continue;
    const { overflowX, overflowY, textOverflow, whiteSpace } = style(element);
    const ellipsis = textOverflow === "ellipsis" && whiteSpace === "nowrap";
    const wide = element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0;
    const high = element.scrollHeight > element.clientHeight + 1 && element.clientHeight > 0;
    if (["auto", "scroll"].includes(overflowX) && wide) found.push(`scrolls sideways: ${name(element)}`);
    const cut = ["hidden", "clip"];
    if (cut.includes(overflowX) && wide && !ellipsis && !clamped(element)) found.push(`cut at its side: ${name(element)}`);
    if (cut.includes(overflowY) && high && !ellipsis && !clamped(element)) found.push(`cut at its bottom: ${name(element)}`);
  }

  for (const { element, rect } of blocks) {
    const layered = element.closest("dialog") ?? element;
    if (rect.left < -0.5 || rect.right > innerWidth + 0.5) {
      const cut = element.closest("td, .clamped") ?? layered;
      if (cut === layered) found.push(`outside the window: ${name(element)} ${round(rect.left, rect.right)}`);
    }
    if (element.matches(CONTROLS) && (rect.width < 20 || rect.height < 20)) found.push(`too small: ${name(element)} ${round(rect.width, rect.height)}`);
    // A control or a line of text that its box is too narrow for.
    for (let above = element.parentElement; above && above !== top; above = above.parentElement) {
      // Dots stand for text that is cut, but not for a box of its own, such as a badge.
      const dotted = style(above).textOverflow === "ellipsis" && !style(element).display.startsWith("inline-");
      if (clamped(above) || dotted || ["auto", "scroll"].includes(style(above).overflowX)) break;
      const { left, right } = above.getBoundingClientRect();
      if (style(above).display === "inline" || style(above).display === "contents" || right - left === 0) continue;
      if (style(element).position === "fixed" || style(above).position === "fixed" || element.closest("[role=listbox]")) break;
      if (rect.left < left - 1 || rect.right > right + 1) {
        found.push(`hangs out of ${name(above)}: ${name(element)} ${round(rect.left, rect.right)} in ${round(left, right)}`);
        break;
      }
    }
  }

  // Cells stand under their headings.
  for (const table of top.querySelectorAll("table")) {
    if (skipped(table)) continue;
    const heads = table.tHead?.rows[0]?.cells ?? [];
    for (const row of table.tBodies[0]?.rows ?? []) {
      // The rows of a list of which a part is drawn are all equally high.
      if (row.dataset.order && Math.abs(row.offsetHeight - 44) > 1) found.push(`${row.offsetHeight} high: ${name(row)}`);
      for (const cell of row.cells) {
        const head = heads[cell.cellIndex];
        if (!cell.checkVisibility() && !head.checkVisibility()) continue;
        const [under, over] = [cell.getBoundingClientRect(), head.getBoundingClientRect()];
        const apart = Math.max(Math.abs(under.left - over.left), Math.abs(under.right - over.right));
        if (apart > 1) found.push(`not under “${head.textContent}”: ${name(cell)} ${round(under.left, under.right)}, not ${round(over.left, over.right)}`);
        if (under.width < 40) found.push(`no room: ${name(cell)} has ${round(under.width)}`);
      }
    }
  }

  // Nothing lies on anything else. What is fixed, sticks or pops up does so on purpose; it is compared with its own kind.
  const layers = new Map();
  const layer = (element) => {
    for (let above = element; above; above = above.parentElement) {
      const { position, zIndex } = style(above);
      if (["fixed", "sticky"].includes(position) || (position === "absolute" && zIndex !== "auto")) return above;
    }
    return top;
  };
  for (const block of drawn) {
    const own = layer(block.element);
    layers.set(own, [...(layers.get(own) ?? []), block]);
  }
  for (const those of layers.values()) {
    those.forEach((one, at) => {
      for (const other of those.slice(at + 1)) {
        const across = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
        const down = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
        if (across <= 1.5 || down <= 1.5) continue;
        if (one.element.contains(other.element) || other.element.contains(one.element)) continue;
        // Lines of a running text: their boxes wrap around each other.
        if (style(one.element).display === "inline" && style(other.element).display === "inline") continue;
        found.push(`${name(one.element)} lies on ${name(other.element)}`);
      }
    });
  }

  // A message lies on no control.
  const toasts = [...document.querySelectorAll(".toast")].filter((toast) => toast.checkVisibility());
  for (const toast of toasts) {
    const over = toast.getBoundingClientRect();
    for (const { element, box } of drawn) {
      if (toast.contains(element) || !element.matches(CONTROLS)) continue;
      const [left, right] = [Math.max(box.left, over.left), Math.min(box.right, over.right)];
      const [upper, lower] = [Math.max(box.top, over.top), Math.min(box.bottom, over.bottom)];
      if (left >= right || upper >= lower) continue;
      // A dialog lies above messages, and covers them where it must.
      const seen = document.elementFromPoint((left + right) / 2, (upper + lower) / 2);
      if (toast.contains(seen)) found.push(`a message lies on ${name(element)}`);
    }
  }

  // Buttons of the cards of one row stand on one line, and the cards are equally high.
  const cards = [...top.querySelectorAll(".meal")].filter((card) => !skipped(card));
  for (const [at, card] of cards.entries()) {
    const [one, other] = [card, cards[at + 1]];
    if (!other || Math.abs(one.getBoundingClientRect().top - other.getBoundingClientRect().top) > 1) continue;
    for (const part of [(card) => card, (card) => card.querySelector("button")]) {
      const [left, right] = [part(one).getBoundingClientRect(), part(other).getBoundingClientRect()];
      if (Math.abs(left.bottom - right.bottom) > 1) found.push(`ragged: ${name(part(one))} and ${name(part(other))}`);
    }
  }

  // Text stands out from what is behind it.
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const colours = new Map();
  const colour = (text) => {
    if (!colours.has(text)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
      colours.set(text, [red, green, blue, alpha / 255]);
    }
    return colours.get(text);
  };
  const over = ([red, green, blue, alpha], behind) => [red, green, blue].map((value, at) => value * alpha + behind[at] * (1 - alpha));
  const behind = (element) => {
    const chain = [];
    for (let above = element; above; above = above.parentElement) {
      chain.push(colour(style(above).backgroundColor));
      if (chain.at(-1)[3] === 1) break;
    }
    return chain.reverse().reduce((below, above) => over(above, below), colour("Canvas"));
  };
  const light = (rgb) => {
    const [red, green, blue] = rgb.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrasts = new Map();
  for (const { element } of drawn) {
    if (!hasText(element) || element.matches(":disabled, :disabled *") || style(element).opacity === "0") continue;
    const background = behind(element);
    const key = `${style(element).color}|${background}`;
    if (!contrasts.has(key)) {
      const [one, other] = [light(over(colour(style(element).color), background)), light(background)];
      contrasts.set(key, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05));
    }
    if (contrasts.get(key) < 4.4) found.push(`contrast ${contrasts.get(key).toFixed(1)}: ${name(element)}`);
  }
  return [...new Set(found)];
}
