import { spawn } from "node:child_process";

/**
 * All static checks at once. Each line is one tool; its output is shown only when it has something to say.
 * A check that looked at nothing has failed: `minimum` asserts that the tool saw the project.
 */
interface Check {
  name: string;
  command: string[];
  /** Finds in the tool's output how many things it looked at. */
  seen?: { pattern: RegExp; minimum: number };
}

const checks: Check[] = [
  { name: "types", command: ["tsc", "--noEmit", "--project", "."] },
  {
    name: "lint",
    command: ["oxlint", "--type-aware", "--deny-warnings", "src", "test", "scripts", "vitest.config.ts"],
    seen: { pattern: /on (\d+) files/, minimum: 20 },
  },
  { name: "format", command: ["biome", "check", "."], seen: { pattern: /Checked (\d+) files/, minimum: 20 } },
  {
    name: "boundaries",
    command: ["depcruise", "src", "--config", ".dependency-cruiser.cjs"],
    seen: { pattern: /(\d+) modules/, minimum: 20 },
  },
  { name: "dead code", command: ["knip", "--no-progress"] },
];

const started = performance.now();
const results = await Promise.all(checks.map(run));
for (const { name, ok, seconds, output } of results) {
  process.stdout.write(`${ok ? "ok  " : "FAIL"} ${name} (${seconds.toFixed(1)} s)\n`);
  if (!ok) process.stdout.write(`${output.trimEnd()}\n\n`);
}
const failed = results.filter((result) => !result.ok).length;
process.stdout.write(
  `${results.length - failed} passed, ${failed} failed (${((performance.now() - started) / 1000).toFixed(1)} s)\n`,
);
process.exitCode = failed === 0 ? 0 : 1;

async function run(check: Check): Promise<{ name: string; ok: boolean; seconds: number; output: string }> {
  const began = performance.now();
  const [file = "", ...args] = check.command;
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const code = await new Promise<number>((resolve) => {
    child.once("error", (error) => {
      output += `${file} could not be started: ${error.message}. Run npm ci first.\n`;
      resolve(1);
    });
    child.once("close", (exit) => resolve(exit ?? 1));
  });
  const sawEnough = saw(check, output);
  if (!sawEnough) output += `\n${check.name} looked at too few files: it cannot have seen the project.\n`;
  return { name: check.name, ok: code === 0 && sawEnough, seconds: (performance.now() - began) / 1000, output };
}

function saw(check: Check, output: string): boolean {
  if (!check.seen) return true;
  const count = Number(check.seen.pattern.exec(output)?.[1] ?? 0);
  return count >= check.seen.minimum;
}
