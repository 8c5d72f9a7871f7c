import { createHash } from "node:crypto";

/** A config with one job, and what its steps write. */
export interface Job {
  config: string;
  /** Every byte of it, in order. */
  output: Buffer;
}

export const jobClass = "faults/class";

/** A line now and then. It says its secret at the end, which is to be stored masked. */
export function ticking(options: { ticks: number; everyMs: number; image?: string }): Job {
  const { ticks, everyMs } = options;
  const lines = Array.from({ length: ticks }, (_unused, index) => `tick ${index + 1} of ${ticks}\n`);
  return job({
    ...options,
    command: `for i in $(seq 1 ${ticks}); do echo "tick $i of ${ticks}"; sleep ${everyMs / 1000}; done; echo "$JOB_SECRET"`,
    output: `${lines.join("")}****\n`,
  });
}

/** Many lines, as fast as they go. */
export function pouring(options: { lines: number; image?: string }): Job {
  const { lines } = options;
  const text = Array.from({ length: lines }, (_unused, index) => `${index + 1}\n`).join("");
  return job({ ...options, command: `seq 1 ${lines}`, output: text });
}

/** Lines in bursts, for a while. */
export function gushing(options: { bursts: number; lines: number; everyMs: number }): Job {
  const { bursts, lines, everyMs } = options;
  const burst = Array.from({ length: lines }, (_unused, index) => `${index + 1}\n`).join("");
  return job({
    command: `for i in $(seq 1 ${bursts}); do seq 1 ${lines}; sleep ${everyMs / 1000}; done`,
    output: burst.repeat(bursts),
  });
}

/** One step; `more` are lines of the job beside its steps, and `after` steps after it. */
export function job(options: {
  command: string;
  output: string;
  image?: string;
  more?: string[];
  /** Of the step itself. */
  step?: string[];
  after?: string[];
}): Job {
  const executor = options.image === undefined ? "machine: true" : `docker: [{image: "${options.image}"}]`;
  const config = [
    "version: 2.1",
    "jobs:",
    "  work:",
    `    ${executor}`,
    `    resource_class: ${jobClass}`,
    ...(options.more ?? []).map((line) => `    ${line}`),
    "    steps:",
    "      - run:",
    "          name: work",
    `          command: ${JSON.stringify(options.command)}`,
    ...(options.step ?? []).map((line) => `          ${line}`),
    ...(options.after ?? []).map((line) => `      ${line}`),
    "workflows: {main: {jobs: [work]}}",
  ];
  return { config: `${config.join("\n")}\n`, output: Buffer.from(options.output) };
}

export function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
