import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDummyEngine, type DummyEngine, type DummyProcess } from "../../src/engine/dummy/index.ts";
import { EngineError } from "../../src/engine/engine.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { runTaskAgent } from "../../src/task-agent/index.ts";
import type { Stage } from "./run.ts";
import type { Scenario } from "./scenario.ts";

const taskAgentImage = "cofferdam/task-agent:dev";
const argv = JSON.stringify(["/opt/cofferdam/node", "/opt/cofferdam/task-agent.cjs"]);
const binDirectory = join(import.meta.dirname, "../../images/task-agent/bin");

/** A stage whose containers are the task agent's own code in this process, each with a home directory of its own. */
export async function openDummyStage(scenario: Scenario): Promise<Stage & AsyncDisposable & { engine: DummyEngine }> {
  const root = await mkdtemp(join(tmpdir(), "cofferdam-dummy-"));
  const homes = new Homes(root);
  let failingStarts = scenario.expected.failingStarts;
  const engine = createDummyEngine({
    program: async (process) => await homes.use(async (home) => await playTaskAgent(process, home)),
    images: { [taskAgentImage]: { labels: { "dev.cofferdam.argv": argv } }, "debian:bookworm-slim": {} },
    fault: (call) => {
      if (call !== "start" || failingStarts-- <= 0) return undefined;
      return new EngineError("failed", "the scenario lets this start fail");
    },
  });
  return {
    engine,
    taskAgentImage,
    [Symbol.asyncDispose]: async () => await rm(root, { recursive: true, force: true }),
  };
}

async function playTaskAgent(container: DummyProcess, home: string): Promise<number> {
  const { stdin, stdout, killed, plan } = container;
  if (plan.network.mode === "join") return await untilKilled(killed);
  killed.addEventListener("abort", () => stdin.destroy(new Error("killed")), { once: true });
  const startDirectory = join(home, "project");
  await mkdir(startDirectory, { recursive: true });
  try {
    await runTaskAgent({
      input: stdin,
      output: stdout,
      version: "scenario",
      clock: systemClock,
      environment: { PATH: process.env["PATH"], HOME: home },
      startDirectory,
      binDirectory,
      mkfifo: ["mkfifo"],
      ownsContainer: false,
    });
    return 0;
  } catch {
    return killed.aborted ? 137 : 1;
  }
}

/** Homes by number, the lowest free one first: as in containers, one job after another finds the same paths. */
class Homes {
  readonly #root: string;
  readonly #taken = new Set<number>();

  constructor(root: string) {
    this.#root = root;
  }

  async use<T>(work: (home: string) => Promise<T>): Promise<T> {
    let number = 0;
    while (this.#taken.has(number)) number++;
    this.#taken.add(number);
    const home = join(this.#root, `${number}`);
    try {
      await rm(home, { recursive: true, force: true });
      return await work(home);
    } finally {
      this.#taken.delete(number);
    }
  }
}

async function untilKilled(killed: AbortSignal): Promise<number> {
  await new Promise((resolve) => killed.addEventListener("abort", resolve, { once: true }));
  return 137;
}
