import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { resolvePath } from "../workspace/places.ts";
import type { StepContext } from "./context.ts";
import { StepFailure } from "./context.ts";

const units: Record<string, number> = { s: 1, m: 60, h: 3600 };

/** A cache key with its `{{ … }}` resolved. Throws StepFailure where a template cannot be. */
export async function resolveKey(template: string, context: StepContext): Promise<string> {
  let key = "";
  let from = 0;
  for (const match of template.matchAll(/\{\{-?\s*(.*?)\s*-?\}\}/gs)) {
    key += template.slice(from, match.index) + (await valueOf(match[1] ?? "", template, context));
    from = match.index + match[0].length;
  }
  key += template.slice(from);
  if (key.length > 900)
    throw new StepFailure(`The cache key "${key.slice(0, 60)}…" is over 900 characters. Use a checksum in it.`);
  if (key === "") throw new StepFailure(`The cache key "${template}" comes out empty.`);
  return key;
}

async function valueOf(expression: string, template: string, context: StepContext): Promise<string> {
  const name = /^\.Environment\.(\w+)$/.exec(expression)?.[1];
  // Go's word for what a map does not have; CircleCI's keys have it too.
  if (name !== undefined) return context.work.environment[name] ?? "<no value>";
  const file = /^checksum\s+(?:"([^"]*)"|`([^`]*)`)$/.exec(expression);
  if (file) return await checksum(file[1] ?? file[2] ?? "", template, context);
  const round = /^epoch\s*\|\s*round\s+"(\d+)([smh])"$/.exec(expression);
  const now = Math.floor(context.clock.now() / 1000);
  if (round) return String(rounded(now, Number(round[1]) * (units[round[2] ?? "s"] ?? 1)));
  if (expression === "epoch") return String(now);
  if (expression === "arch") return architecture();
  const built = fields(context.work.environment)[expression];
  if (built !== undefined) return built;
  throw new StepFailure(
    `The cache key "${template}" has {{ ${expression} }}, which is unknown. There are .Branch, .Revision, .BuildNum, ` +
      '.Environment.NAME, checksum "FILE", epoch and arch.',
  );
}

function fields(environment: Readonly<Record<string, string>>): Record<string, string> {
  return {
    ".Branch": environment["CIRCLE_BRANCH"] ?? environment["CIRCLE_TAG"] ?? "",
    ".Revision": environment["CIRCLE_SHA1"] ?? "",
    ".BuildNum": environment["CIRCLE_BUILD_NUM"] ?? "",
    ".CheckoutKey": "",
  };
}

function rounded(seconds: number, step: number): number {
  return step === 0 ? seconds : Math.floor(seconds / step) * step;
}

async function checksum(file: string, template: string, context: StepContext): Promise<string> {
  const { home, workingDirectory } = context.places;
  const path = resolvePath(file, home, workingDirectory);
  const hash = createHash("sha256");
  try {
    await pipeline(createReadStream(path), hash, { signal: context.signal });
  } catch (cause) {
    context.signal.throwIfAborted();
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    const why = code === "ENOENT" ? "there is no such file" : code;
    throw new StepFailure(
      `The cache key "${template}" needs the checksum of ${path}: ${why}. Is it made, or checked out, before this step?`,
      { cause },
    );
  }
  return hash.digest("base64");
}

/** With the processor's family and model, as CircleCI has it: what was built for one may not run on another. */
function architecture(): string {
  const names: Record<string, string> = { x64: "amd64", ia32: "386" };
  const name = `linux-${names[process.arch] ?? process.arch}`;
  try {
    const info = readFileSync("/proc/cpuinfo", "utf8");
    const family = /^cpu family\s*:\s*(\d+)/m.exec(info)?.[1];
    const model = /^model\s*:\s*(\d+)/m.exec(info)?.[1];
    return family && model ? `${name}-${family}_${model}` : name;
  } catch {
    return name;
  }
}
