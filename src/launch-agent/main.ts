import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import pino from "pino";
import { createDockerEngine, engineAddresses } from "../engine/docker/index.ts";
import { systemClock } from "../lib/clock.ts";
import { Secret } from "../lib/secret.ts";
import { type LaunchAgent, startLaunchAgent } from "./index.ts";
import { capacityOf, type Options, poolOf, readOptions, sandboxesOf } from "./options.ts";

const usageCode = 2;
const engineCode = 3;

/** One `launch agent` process: settings from the environment, drained by the first signal, stopped by the second. */
async function main(): Promise<number> {
  const read = readOptions(process.env);
  if ("problems" in read) {
    process.stderr.write(`launch agent: ${read.problems.join("\nlaunch agent: ")}\n`);
    return usageCode;
  }
  try {
    return await run(read.options);
  } catch (error) {
    process.stderr.write(`launch agent: ${error instanceof Error ? error.message : String(error)}\n`);
    return engineCode;
  }
}

async function run(options: Options): Promise<number> {
  const [address] = engineAddresses({ dockerHost: options.DOCKER_HOST });
  if (!address) throw new Error("no address of an engine: set DOCKER_HOST");
  const engine = createDockerEngine({ address });
  const engineInfo = await engine.info(new AbortController().signal);
  const agent = startLaunchAgent({
    api: { baseUrl: options.CIRCLECI_RUNNER_API_URL, token: new Secret(options.CIRCLECI_RUNNER_API_AUTH_TOKEN) },
    engine,
    engineInfo,
    name: options.CIRCLECI_RUNNER_NAME,
    hostname: hostname(),
    version: "0.1.0",
    capacity: capacityOf(options, engineInfo),
    pool: poolOf(options, engineInfo),
    sandboxes: sandboxesOf(options, engineInfo),
    taskAgentImage: options.COFFERDAM_TASK_AGENT_IMAGE,
    clock: systemClock,
    newId: randomUUID,
    log: pino({ level: options.CIRCLECI_RUNNER_LOGGING_LEVEL }),
  });
  obeySignals(agent);
  await agent.closed;
  return 0;
}

/** First: finish what runs. Second: cancel it. Third: at once. */
function obeySignals(agent: LaunchAgent): void {
  let count = 0;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      count++;
      void (count === 1 ? agent.drain() : agent.stop(`the launch agent was stopped (${signal})`));
    });
  }
}

process.exitCode = await main();
