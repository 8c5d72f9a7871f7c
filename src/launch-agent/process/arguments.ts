import { parseArgs } from "node:util";

export type Command =
  | { kind: "run" | "check"; configFile?: string }
  | { kind: "health"; what: "live" | "ready"; configFile?: string }
  | { kind: "help" | "version" }
  | { kind: "bad"; problem: string };

const options = {
  config: { type: "string" },
  check: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "V" },
} as const;

/** What the command line asks for. `machine`, as machine runner 3 is started with, says what is so anyway. */
export function readArguments(args: readonly string[]): Command {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    if (values.help) return { kind: "help" };
    if (values.version) return { kind: "version" };
    const file = values.config === undefined ? {} : { configFile: values.config };
    const [first, what = "live", ...more] = positionals[0] === "machine" ? positionals.slice(1) : positionals;
    if (first === "health" && more.length === 0 && (what === "live" || what === "ready"))
      return { kind: "health", what, ...file };
    if (first !== undefined) return { kind: "bad", problem: `there is no ${JSON.stringify(positionals.join(" "))}` };
    return { kind: values.check ? "check" : "run", ...file };
  } catch (error) {
    return { kind: "bad", problem: error instanceof Error ? error.message : String(error) };
  }
}
