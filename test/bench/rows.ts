import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { interleaved, median, type Row, row, timeProcess } from "./measure.ts";
import { openBenchSession } from "./session.ts";

const run = promisify(execFile);

export const image = "debian:bookworm-slim";
const docker = "/usr/bin/docker";
const cofferdam = join(import.meta.dirname, "..", "..", "bin", "cofferdam");
/** Not in the command as it is printed, only in what it prints. */
const say = 'echo "marker-$((40 + 2))"';
const marker = "marker-42";
const line = "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0123456";

/** What one job costs: in an agent that is running already, and as a process of its own. */
export async function startRows(rounds: number): Promise<Row[]> {
  await using session = await openBenchSession();
  await using resident = await openBenchSession({ pool: { perShape: 1 } });
  await resident.run(config(say));
  await resident.warm();
  const exec = await execProject(say);
  const results = await interleaved(rounds, {
    floor: async () => await timeProcess([docker, "run", "--rm", image, "sh", "-c", say], { marker }),
    job: async () => {
      await session.sandboxReady();
      return await session.run(config(say));
    },
    hit: async () => {
      const timing = await resident.run(config(say));
      // The refill is not to be in the way of who comes next.
      await resident.warm();
      return timing;
    },
    exec: async () => await timeProcess([cofferdam, "exec", exec.directory], { marker, env: exec.env }),
  });
  await exec.remove();
  const missed = results.hit.filter(({ hit }) => !hit).length;
  if (missed > 0) throw new Error(`${missed} of ${results.hit.length} tasks found nothing that waited for them`);
  const firstFloor = median(results.floor.map((each) => each.firstByteMs));
  const wholeFloor = median(results.floor.map((each) => each.wholeMs));
  const common = { unit: "ms" } as const;
  return [
    row({
      ...common,
      id: "first-byte-miss",
      what: "claim → first byte, with a sandbox ready, against docker run",
      value: median(results.job.map((each) => each.firstByteMs)),
      floor: firstFloor,
      goal: { atMost: 0.75 },
    }),
    row({
      ...common,
      id: "first-byte-hit",
      what: "claim → first byte in a container that waited, against docker run",
      value: median(results.hit.map((each) => each.firstByteMs)),
      floor: firstFloor,
      goal: { atMost: 0.05 },
    }),
    row({
      ...common,
      id: "whole-job",
      what: "job queued → everything gone, against docker run --rm",
      value: median(results.job.map((each) => each.wholeMs)),
      floor: wholeFloor,
      goal: { atMost: 1.3 },
    }),
    row({
      ...common,
      id: "exec-first-byte",
      what: "cofferdam exec, process start → first byte",
      value: median(results.exec.map((each) => each.firstByteMs)),
      floor: firstFloor,
      goal: { atMost: 1.5 },
    }),
    row({
      ...common,
      id: "exec-whole",
      what: "cofferdam exec, whole process",
      value: median(results.exec.map((each) => each.wholeMs)),
      floor: wholeFloor,
      goal: { atMost: 1.3 },
    }),
  ];
}

/** Tasks a second at saturation, against the engine's own calls with the same limits and no agent. */
export async function throughputRow(tasks: number): Promise<Row> {
  await using session = await openBenchSession();
  const parallel = config("true", tasks);
  await session.run(config("true"));
  const { floor, agent } = await interleaved(2, {
    floor: async () => await rawTasksPerSecond(tasks),
    agent: async () => (tasks * 1000) / (await session.run(parallel)).wholeMs,
  });
  return row({
    id: "tasks-per-second",
    what: `${tasks} tasks at once, against create + start + wait + remove`,
    unit: "1/s",
    value: median(agent),
    floor: median(floor),
    goal: { atLeast: 1.6 },
  });
}

/** 50 MiB of lines through the whole program. */
export async function pipedOutputRow(): Promise<Row> {
  const bytes = 50 * 1024 * 1024;
  const command = linesOf(bytes);
  const exec = await execProject(command);
  const { floor, piped } = await interleaved(3, {
    floor: async () => await timeProcess([docker, "run", "--rm", image, "sh", "-c", command]),
    piped: async () => await timeProcess([cofferdam, "exec", exec.directory], { env: exec.env }),
  });
  await exec.remove();
  const lost = piped.find((each) => each.stdoutBytes < bytes);
  if (lost) throw new Error(`exec printed ${lost.stdoutBytes} of ${bytes} bytes`);
  return row({
    id: "output-50mb",
    what: "50 MiB of lines through exec, against docker run",
    unit: "s",
    value: median(piped.map((each) => each.wholeMs)) / 1000,
    floor: median(floor.map((each) => each.wholeMs)) / 1000,
    goal: { atMost: 1 },
  });
}

/** 1 GB of one step's output, all of it stored, against an attach to the same command with the default log driver. */
export async function storedOutputRow(): Promise<Row> {
  const bytes = 1_000_000_000;
  const command = linesOf(bytes);
  await using session = await openBenchSession();
  await session.run(config("true"));
  const floor = await timeProcess([docker, "run", "--rm", image, "sh", "-c", command]);
  const stored = await session.run(config(command));
  if (stored.outputBytes !== bytes || stored.outputSha256 !== expectedHash(bytes))
    throw new Error(`${stored.outputBytes} of ${bytes} bytes were stored, or others than were written`);
  return row({
    id: "output-1gb",
    what: "1 GB of output, all stored, against attach with the default log driver",
    unit: "MB/s",
    value: bytes / 1000 / stored.wholeMs,
    floor: bytes / 1000 / floor.wholeMs,
    goal: { atLeast: 3 },
  });
}

function linesOf(bytes: number): string {
  // The shell of a step minds that yes is cut off.
  return `yes ${line} | head -c ${bytes} || true`;
}

function expectedHash(bytes: number): string {
  const hash = createHash("sha256");
  const block = Buffer.from(`${line}\n`.repeat(10_000));
  for (let left = bytes; left > 0; left -= block.byteLength)
    hash.update(block.subarray(0, Math.min(left, block.byteLength)));
  return hash.digest("hex");
}

function config(command: string, parallelism = 1): string {
  return JSON.stringify({
    version: 2.1,
    jobs: {
      bench: { docker: [{ image }], parallelism, steps: [{ run: { name: "bench", command } }] },
    },
    workflows: { main: { jobs: ["bench"] } },
  });
}

async function execProject(
  command: string,
): Promise<{ directory: string; env: Record<string, string>; remove: () => Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), "cofferdam-bench-"));
  const directory = join(root, "project");
  await mkdir(join(directory, ".circleci"), { recursive: true });
  await writeFile(join(directory, ".circleci", "config.yml"), config(command));
  return {
    directory,
    env: { XDG_DATA_HOME: join(root, "data"), XDG_RUNTIME_DIR: root },
    remove: async () => await rm(root, { recursive: true, force: true }),
  };
}

/** The engine alone, by its command line's four calls, as many at once as there are cores. */
async function rawTasksPerSecond(tasks: number): Promise<number> {
  const limits = [
    "--memory=4g",
    "--memory-swap=4g",
    "--cpus=2",
    "--pids-limit=4096",
    "--ulimit=nofile=16384",
    "--init",
    "--cap-drop=ALL",
  ];
  const one = async () => {
    const { stdout } = await run(docker, ["create", ...limits, image, "true"]);
    const id = stdout.trim();
    await run(docker, ["start", id]);
    await run(docker, ["wait", id]);
    await run(docker, ["rm", id]);
  };
  const began = performance.now();
  let left = tasks;
  const worker = async () => {
    while (left-- > 0) await one();
  };
  await Promise.all([worker(), worker()]);
  return (tasks * 1000) / (performance.now() - began);
}
