import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PipeSource } from "./pipes.ts";
import { SpawnError, startProcess } from "./process.ts";

const environment = { PATH: process.env["PATH"] ?? "" };

async function outputOf(pipes: PipeSource, script: string): Promise<string> {
  let output = "";
  const { exit } = await startProcess(
    { argv: ["/bin/sh", "-c", script], environment, directory: "/" },
    {
      pipes,
      onOutput: (_stream, chunk) => {
        output += chunk.toString();
        return undefined;
      },
    },
  );
  await exit;
  return output;
}

test.each([
  ["there is no such program", ["/no/such/mkfifo"]],
  ["it fails", ["/bin/false"]],
])("steps go on with node's own pipes when none can be made because %s", async (_name, mkfifo) => {
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-pipes-"));
  const pipes = new PipeSource(mkfifo, () => directory);

  expect(await outputOf(pipes, "echo out; echo err >&2")).toMatch(/out/);
  rmSync(directory, { recursive: true });
});

test("no descriptor is left open, whether a process starts or not", async () => {
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-pipes-"));
  const pipes = new PipeSource(["mkfifo"], () => directory);
  await outputOf(pipes, "true");
  const before = readdirSync("/proc/self/fd").length;

  for (let count = 0; count < 5; count += 1) {
    await outputOf(pipes, "echo x");
    const failed = startProcess(
      { argv: ["/no/such/shell"], environment, directory: "/" },
      { pipes, onOutput: () => undefined },
    );
    await expect(failed).rejects.toBeInstanceOf(SpawnError);
  }

  await expect.poll(() => readdirSync("/proc/self/fd").length).toBeLessThanOrEqual(before);
  rmSync(directory, { recursive: true });
});

test("one run of the program makes the pipes of several steps", async () => {
  const directory = mkdtempSync(join(tmpdir(), "cofferdam-pipes-"));
  const runs = join(directory, "runs");
  const pipes = new PipeSource(["sh", "-c", `echo run >>${runs}; exec mkfifo "$@"`, "mkfifo"], () => directory);

  for (let step = 0; step < 9; step += 1) expect(await outputOf(pipes, `echo ${step} >/dev/stdout`)).toBe(`${step}\n`);

  expect(readFileSync(runs, "utf8")).toBe("run\nrun\n");
  rmSync(directory, { recursive: true });
});
