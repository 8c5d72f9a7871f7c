import { randomUUID } from "node:crypto";
import {
  type AgentEvent,
  type LaunchAgent,
  type LaunchAgentOptions,
  startLaunchAgent,
} from "../../src/launch-agent/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { Secret } from "../../src/lib/secret.ts";
import { FakeControlPlane } from "./fake-control-plane.ts";

export const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** What a launch agent has to be told, and its test says nothing about. */
export const anAgent = {
  name: "agent-1",
  hostname: "host",
  version: "test",
  taskAgentImage: "cofferdam/task-agent",
  capacity: { tasks: 4, memoryBytes: 8 * 1024 ** 3, cpus: 8 },
  clock: systemClock,
  newId: randomUUID,
  log: quiet,
};

export type AgentChanges = Partial<LaunchAgentOptions> & Pick<LaunchAgentOptions, "engine">;

/** A control plane that does as its test says, and launch agents of this process that claim from it. */
export class AgentStage {
  readonly controlPlane = new FakeControlPlane();
  /** Of all its agents, in order. */
  readonly events: AgentEvent[] = [];
  /** Of the control plane, once it is open. */
  url = "";
  readonly #agents: LaunchAgent[] = [];

  async open(): Promise<this> {
    this.url = await this.controlPlane.listen();
    return this;
  }

  start(options: AgentChanges): LaunchAgent {
    const agent = startLaunchAgent({
      ...anAgent,
      api: { baseUrl: this.url, token: new Secret(this.controlPlane.classToken) },
      onEvent: (event) => this.events.push(event),
      ...options,
    });
    this.#agents.push(agent);
    return agent;
  }

  /** How many times its agents have told this. */
  count(type: AgentEvent["type"]): number {
    return this.events.filter((event) => event.type === type).length;
  }

  /** Stops its agents first. */
  async close(): Promise<void> {
    await Promise.all(this.#agents.map(async (agent) => await agent.stop("the test is over")));
    await this.controlPlane.close();
  }
}
