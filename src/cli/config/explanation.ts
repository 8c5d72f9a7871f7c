import { codes, type DiagnosticCode, suggestion, warningCodes } from "../../config/index.ts";
import { CommandError, exitCode } from "../io.ts";
import { findExample } from "./examples/find.ts";
import { examples } from "./examples/index.ts";

/** Every code, one a line. */
export function listOfCodes(): string {
  const names = Object.keys(codes) as DiagnosticCode[];
  const width = Math.max(...names.map((name) => name.length));
  return names.map((name) => `${name.padEnd(width)}  ${severityOf(name).padEnd(7)}  ${codes[name]}\n`).join("");
}

/** What a code means, an example, and what is said about it. */
export async function explanation(code: string): Promise<string> {
  if (!isCode(code)) {
    const hint = suggestion(code, Object.keys(codes), "Codes are") ?? "";
    throw new CommandError(`there is no code ${code}. ${hint}`, { exitCode: exitCode.usage });
  }
  const { config, advice } = examples[code];
  const found = await findExample(code);
  const parts = [
    `${code} (${severityOf(code)})\n${codes[code]}\n`,
    `For example:\n\n${config.trimEnd().replace(/^/gm, "    ")}\n`,
  ];
  if (found) parts.push(`is told so:\n\n${found.rendered.trimEnd().replace(/^/gm, "    ")}\n`);
  if (advice) parts.push(`${advice}\n`);
  return parts.join("\n");
}

function severityOf(code: DiagnosticCode): string {
  return warningCodes.has(code) ? "warning" : "error";
}

function isCode(code: string): code is DiagnosticCode {
  return Object.hasOwn(codes, code);
}
