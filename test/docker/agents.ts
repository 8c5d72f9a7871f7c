import { randomUUID } from "node:crypto";
import type { Engine } from "../../src/engine/engine.ts";
import type { LaunchAgent, LaunchAgentOptions } from "../../src/launch-agent/index.ts";
import type { Task } from "../../src/protocol/task.ts";
import type { FakeTask } from "../fakes/fake-control-plane.ts";
import { AgentStage, anAgent } from "../fakes/launch-agents.ts";
import { runningOf } from "../fakes/owned.ts";
import { aRunStep, aTask, noNetwork } from "../fakes/tasks.ts";
import { until } from "../fakes/until.ts";
import { engineUnderTest } from "./engine-under-test.ts";
import { assertNoLeaks, dockerode, type Snapshot, takeSnapshot } from "./leak-check.ts";

const mebibyte = 1024 ** 2;

/** An image with bash, as root. */
export const debian = inImages({ image: "debian:bookworm-slim" });

type ImageSpec = Task["container"]["images"][number];

/** What a job in these images says of its container; the first one is the steps', the others are services. */
export function inImages(...images: (Partial<ImageSpec> & { image: string })[]): Partial<Task["container"]> {
  return { executor: "docker", images: images.map((spec) => ({ environment: {}, ...spec })) };
}

/** Of one step, small enough for any machine; in the task agent's image and without a network when nothing else is said. */
export function anEngineTask(command: string, container: Partial<Task["container"]> = {}): Task {
  const limits = { ...aTask().container.limits, memoryBytes: 256 * mebibyte };
  const work = { steps: [aRunStep(command)], killGraceMs: 500 };
  return aTask({ id: randomUUID(), container: { limits, network: noNetwork, ...container }, work });
}

/** Runs a script in a container behind its agent's back, to its end. */
export async function execIn(container: string, script: string): Promise<void> {
  const exec = await (await dockerode()).getContainer(container).exec({ Cmd: ["sh", "-c", script] });
  await exec.start({});
  await until(async () => !(await exec.inspect()).Running);
}

/** Launch agents of this process on the engine under test, all under one name. */
export class EngineStage extends AgentStage {
  readonly name: string;
  readonly engine: Engine;
  readonly #before: Snapshot;

  private constructor(name: string, engine: Engine, before: Snapshot) {
    super();
    this.name = name;
    this.engine = engine;
    this.#before = before;
  }

  /** The name tells people of which test something is that it left. */
  static async of(test: string): Promise<EngineStage> {
    const before = await takeSnapshot();
    const name = `${test}-${randomUUID().slice(0, 8)}`;
    return await new EngineStage(name, await engineUnderTest(), before).open();
  }

  startAgent(options: Partial<LaunchAgentOptions> = {}): LaunchAgent {
    return this.start({
      engine: this.engine,
      name: this.name,
      taskAgentImage: "cofferdam/task-agent:dev",
      ...options,
      capacity: { ...anAgent.capacity, tasks: 2, ...options.capacity },
    });
  }

  enqueue(command: string, container: Partial<Task["container"]> = {}): FakeTask {
    return this.controlPlane.enqueue(anEngineTask(command, container));
  }

  /** Ids of the agents' containers of this role that run. */
  async running(role: string): Promise<string[]> {
    return await runningOf(this.engine, role, this.name);
  }

  /** Throws where something is left of what was done here. */
  override async close(): Promise<void> {
    await super.close();
    await assertNoLeaks(this.#before);
  }
}
