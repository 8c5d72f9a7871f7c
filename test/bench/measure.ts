import { spawn } from "node:child_process";

/** One figure beside the floor that was taken in the same run. */
export interface Row {
  id: string;
  what: string;
  unit: "ms" | "s" | "1/s" | "MB/s" | "MB" | "objects";
  value: number;
  floor: number;
  /** value ÷ floor. */
  ratio: number;
  goal: string;
  met: boolean;
}

interface RowInput extends Omit<Row, "ratio" | "goal" | "met"> {
  /** Times: at most so many times the floor. Rates: at least. `value`: at most this, whatever the floor is. */
  goal: { atMost: number } | { atLeast: number } | { value: number };
}

export function row({ goal, ...figures }: RowInput): Row {
  const ratio = figures.value / figures.floor;
  if ("value" in goal)
    return { ...figures, ratio, goal: `≤ ${goal.value} ${figures.unit}`, met: figures.value <= goal.value };
  return "atMost" in goal
    ? { ...figures, ratio, goal: `≤ ${goal.atMost} ×`, met: ratio <= goal.atMost }
    : { ...figures, ratio, goal: `≥ ${goal.atLeast} ×`, met: ratio >= goal.atLeast };
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

type Results<C extends Record<string, () => Promise<unknown>>> = { [K in keyof C]: Awaited<ReturnType<C[K]>>[] };

/** Runs the contenders in turn, so that whatever else the machine does hits all of them alike. The first round warms up. */
export async function interleaved<C extends Record<string, () => Promise<unknown>>>(
  rounds: number,
  contenders: C,
): Promise<Results<C>> {
  const results: Record<string, unknown[]> = {};
  for (let round = 0; round <= rounds; round++) {
    for (const [name, contender] of Object.entries(contenders)) {
      const result = await contender();
      if (round > 0) (results[name] ??= []).push(result);
    }
  }
  return results as Results<C>;
}

export interface ProcessTiming {
  firstByteMs: number;
  wholeMs: number;
  stdoutBytes: number;
}

/** Times a whole process: to the first appearance of `marker` on stdout, and to its end. */
export async function timeProcess(
  command: string[],
  options: { marker?: string; env?: Record<string, string | undefined>; expectCode?: number } = {},
): Promise<ProcessTiming> {
  const [file = "", ...args] = command;
  const began = performance.now();
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...options.env } });
  let firstByteMs = Number.NaN;
  let stdoutBytes = 0;
  let seen = "";
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4000)));
  child.stdout.on("data", (chunk: Buffer) => {
    stdoutBytes += chunk.byteLength;
    if (!Number.isNaN(firstByteMs)) return;
    seen = (seen + chunk.toString("latin1")).slice(-4000);
    if (seen.includes(options.marker ?? "")) firstByteMs = performance.now() - began;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const wholeMs = performance.now() - began;
  if (code !== (options.expectCode ?? 0)) throw new Error(`${command.join(" ")} ended with ${code}: ${errors || seen}`);
  if (Number.isNaN(firstByteMs)) throw new Error(`${command.join(" ")} never wrote "${options.marker}": ${seen}`);
  return { firstByteMs, wholeMs, stdoutBytes };
}
