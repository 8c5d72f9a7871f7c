import { stripVTControlCharacters, styleText } from "node:util";
import type { StepOutcome } from "../../../protocol/records.ts";

/** `0.4s`, `12.3s`, `2m05s`, `1h02m`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)}s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return `${minutes}m${String(Math.round(seconds) % 60).padStart(2, "0")}s`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, "0")}m`;
}

export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} KiB`;
  if (bytes < 1024 ** 3) return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}

/** How a step ended, in words; undefined where it went well. */
export function outcomeText(outcome: StepOutcome): string | undefined {
  switch (outcome.kind) {
    case "succeeded":
      return undefined;
    case "exited":
      return outcome.signal ? `ended by ${outcome.signal} (exit code ${outcome.code})` : `exit code ${outcome.code}`;
    case "failed":
      return outcome.message;
    case "timed-out":
      return outcome.limit === "no-output"
        ? `no output for ${duration(outcome.afterMs)}, ended. Raise no_output_timeout if the step is only quiet.`
        : `over the limit of ${duration(outcome.afterMs)} for the whole task, ended`;
    case "canceled":
      return "canceled";
    case "infrastructure":
      return `infrastructure: ${outcome.message}`;
    default:
      outcome satisfies never;
      return undefined;
  }
}

export type Style = (text: string, ...formats: Parameters<typeof styleText>[0][]) => string;

/** Colours where they are wanted, plain text elsewhere. */
export function styler(colour: boolean): Style {
  return (text, ...formats) =>
    colour ? formats.reduce((styled, format) => styleText(format, styled, { validateStream: false }), text) : text;
}

// What a terminal would obey: C0 but tab, newline; DEL; C1; bidirectional overrides. Colours (SGR) are matched before them.
const risky = /\u001b\[[0-9;:]*m|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
const colour = /^\u001b\[[0-9;:]*m$/;

/**
 * Text of unknown origin made safe for a terminal: colours stay (where asked for), every other control character is shown
 * as a picture of itself, so that no output can move the cursor, set a title or write to the clipboard.
 */
export function sane(text: string, options: { colours: boolean }): string {
  const source = options.colours ? text : stripVTControlCharacters(text);
  return source.replace(risky, (match) => {
    if (colour.test(match)) return options.colours ? match : "";
    if (match === "\r") return "";
    const code = match.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : "\ufffd";
  });
}
