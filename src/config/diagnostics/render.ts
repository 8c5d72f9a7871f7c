import type { Diagnostic } from "./diagnostic.ts";
import { Source } from "./source.ts";

/** Texts of the files that diagnostics point into, by file name; a diagnostic whose text is not there goes without. */
export type Texts = ReadonlyMap<string, string>;

/**
 * ```
 * config.yml:8:9 error unknown-command
 *   Error calling job: 'build'
 *   Cannot find a definition for command named tset
 *   8 |       - tset
 *     |         ^^^^
 *   Did you mean "test"?
 * ```
 */
export function renderDiagnostic(diagnostic: Diagnostic, texts: Texts): string {
  const { file, line, column, severity, code, chain, message, hint } = diagnostic;
  const lines = [`${file}:${line}:${column} ${severity} ${code}`, ...chain, ...message.split("\n")];
  const text = texts.get(file);
  if (text !== undefined) lines.push(...excerpt(diagnostic, new Source(file, text)));
  if (hint !== undefined) lines.push(`Hint: ${hint}`);
  return `${lines.map(safe).join("\n")}\n`;
}

export function renderDiagnostics(diagnostics: readonly Diagnostic[], texts: Texts): string {
  const parts = [schemaSummary(diagnostics.filter((one) => one.message.startsWith("[#")))];
  parts.push(...diagnostics.map((one) => renderDiagnostic(one, texts)));
  return parts.filter((part) => part !== "").join("\n");
}

function excerpt({ line, column, endLine, endColumn }: Diagnostic, source: Source): string[] {
  const text = source.line(line);
  const margin = String(line);
  const from = Math.max(0, column - 60);
  const shown = text.slice(from, from + 140);
  const width = endLine === line ? endColumn - column : text.length - column + 1;
  const start = column - 1 - from;
  const caret = " ".repeat(start) + "^".repeat(Math.max(1, Math.min(width, shown.length - start)));
  const pad = shown.slice(0, start).replace(/[^\t]/gu, " ");
  return [
    `  ${margin} | ${shown}`,
    `  ${" ".repeat(margin.length)} | ${pad.length === start ? pad + caret.trimStart() : caret}`,
  ];
}

/** CircleCI's own way to tell violations of its schema, so that what people look for is found. */
function schemaSummary(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter((one) => one.severity === "error");
  if (errors.length === 0) return "";
  const lines = ["ERROR IN CONFIG FILE:"];
  if (errors.length === 1) lines.push(...nested(errors[0]?.message ?? ""));
  else {
    const pointer = commonPointer(errors.map((one) => one.message.slice(1, one.message.indexOf("]"))));
    lines.push(`[${pointer}] ${errors.length} schema violations found`);
    for (const [index, one] of errors.entries()) lines.push(...nested(`${index + 1}. ${one.message}`));
  }
  return `${lines.map(safe).join("\n")}\n`;
}

function nested(message: string): string[] {
  const [first = "", ...rest] = message.split("\n");
  return [first, ...rest.map((line) => `|   ${line}`)];
}

function commonPointer(pointers: string[]): string {
  let common = (pointers[0] ?? "#").split("/");
  for (const pointer of pointers) {
    const parts = pointer.split("/");
    const differs = common.findIndex((part, index) => part !== parts[index]);
    if (differs !== -1) common = common.slice(0, differs);
  }
  return common.join("/") || "#";
}

/** Configs are other people's text: no control character of theirs reaches a terminal. */
function safe(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/gu, "\u{fffd}");
}
