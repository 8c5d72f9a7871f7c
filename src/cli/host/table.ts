import { sane } from "../exec/render/text.ts";
import type { Io } from "../io.ts";

/** Rows under their headings, each column as wide as what is in it; what came from elsewhere cannot move the cursor. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [headings, ...rows.map((row) => row.map(plain))];
  const widths = headings.map((_heading, column) =>
    lines.reduce((widest, line) => Math.max(widest, (line[column] ?? "").length), 0),
  );
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

function plain(text: string): string {
  return sane(text, { colours: false }).replaceAll("\n", " ");
}

export function writeJson({ stdout }: Io, value: unknown): void {
  stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** `12s ago`, by the clock of this machine. */
export function ago(time: string, nowMs: number): string {
  return `${span(nowMs - Date.parse(time))} ago`;
}

/** `12s` */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)}m` : `${Math.round(seconds / 3600)}h`;
}
