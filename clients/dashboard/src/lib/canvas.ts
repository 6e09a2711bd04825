// Draws lines over time on a canvas: nothing but what the plots of the dashboard need.

/** What is drawn. Colours and the font are ready for a canvas. */
export interface Drawing {
  width: number;
  height: number;
  font: string;
  text: string;
  grid: string;
  /** In seconds since the epoch, evenly spaced. */
  seconds: readonly number[];
  lines: readonly { colour: string; dashed?: boolean | undefined; values: readonly (number | null)[] }[];
  /** The least top of the vertical axis, and the distances that lines of the grid may have on it. */
  least: number;
  steps: readonly number[];
  time: (second: number) => string;
  number: (value: number) => string;
}

/** Beside the lines there are the figures of the axes, and room for the last of them. */
const MARGIN = { left: 38, right: 24, top: 8, bottom: 26 };
/** The least distance of lines of the grid, across and down. */
const SPACE = { across: 90, down: 30 };
/** The seconds between times on the horizontal axis. */
const TIMES = [1, 5, 10, 30, 60, 120, 300, 600];

export function paint(canvas: HTMLCanvasElement, drawing: Drawing): void {
  const { width, height, seconds, lines } = drawing;
  const ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  const [first, last] = [seconds[0], seconds.at(-1)];
  if (!context || first === undefined || last === undefined) return;
  context.scale(ratio, ratio);
  const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
  const top = Math.max(drawing.least, 1.15 * Math.max(...lines.flatMap(({ values }) => values.map((value) => value ?? 0))));
  const perSecond = (right - MARGIN.left) / Math.max(1, last - first);
  const perUnit = (bottom - MARGIN.top) / top;
  const x = (second: number) => MARGIN.left + (second - first) * perSecond;
  const y = (value: number) => bottom - value * perUnit;

  context.font = drawing.font;
  context.fillStyle = drawing.text;
  context.strokeStyle = drawing.grid;
  context.beginPath();
  context.textBaseline = "middle";
  context.textAlign = "right";
  const step = drawing.steps.find((step) => step * perUnit >= SPACE.down) ?? top;
  for (let value = 0; value <= top; value += step) {
    context.moveTo(MARGIN.left, y(value));
    context.lineTo(right, y(value));
    context.fillText(drawing.number(value), MARGIN.left - 6, y(value));
  }
  context.textBaseline = "bottom";
  context.textAlign = "center";
  const apart = TIMES.find((seconds) => seconds * perSecond >= SPACE.across) ?? last - first + 1;
  for (let second = Math.ceil(first / apart) * apart; second <= last; second += apart) {
    context.moveTo(x(second), MARGIN.top);
    context.lineTo(x(second), bottom);
    context.fillText(drawing.time(second), x(second), height - 4);
  }
  context.stroke();

  context.lineWidth = 2;
  context.lineJoin = "round";
  for (const { colour, dashed, values } of lines) {
    context.strokeStyle = context.fillStyle = colour;
    context.setLineDash(dashed ? [5, 4] : []);
    context.beginPath();
    values.forEach((value, at) => {
      const second = seconds[at];
      if (value === null || second === undefined) return;
      // No line leads across a time of which nothing is known. A value between two such times is a point.
      const [begins, ends] = [values[at - 1] == null, values[at + 1] == null];
      if (begins && ends) context.fillRect(x(second) - 2.5, y(value) - 2.5, 5, 5);
      else if (begins) context.moveTo(x(second), y(value));
      else context.lineTo(x(second), y(value));
    });
    context.stroke();
  }
}
