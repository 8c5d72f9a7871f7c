import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createDockerEngine } from "../../src/engine/docker/index.ts";
import { type LaunchAgentOptions, startLaunchAgent } from "../../src/launch-agent/index.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { Secret } from "../../src/lib/secret.ts";

/** What a launch agent that is a process of its own is told, beside what the program itself can be told. */
export interface MortalAgentOptions {
  url: string;
  token: string;
  name: string;
  socketPath: string;
  times?: LaunchAgentOptions["times"];
  sandboxes?: LaunchAgentOptions["sandboxes"];
  /** A file with the one address that every name stands for. */
  addressFile?: string;
}

const { url, token, name, socketPath, addressFile, times, sandboxes }: MortalAgentOptions = JSON.parse(
  process.argv[2] ?? "",
);
const say = (facts: object, message: string): void => console.log(message, JSON.stringify(facts));
const agent = startLaunchAgent({
  api: { baseUrl: url, token: new Secret(token) },
  engine: createDockerEngine({ address: { kind: "socket", path: socketPath } }),
  name,
  session: randomUUID(),
  hostname: "test",
  version: "test",
  capacity: { tasks: 2, memoryBytes: 4 * 1024 ** 3, cpus: 8 },
  taskAgentImage: "cofferdam/task-agent:dev",
  clock: systemClock,
  newId: randomUUID,
  log: { debug: say, info: say, warn: say, error: say },
  ...(times ? { times } : {}),
  ...(sandboxes ? { sandboxes } : {}),
  ...(addressFile === undefined ? {} : { resolve: async () => [readFileSync(addressFile, "utf8")] }),
});
process.once("SIGTERM", () => void agent.stop("the test is over"));
await agent.closed;
