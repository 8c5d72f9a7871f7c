import { join } from "node:path";
import { systemClock } from "../lib/clock.ts";
import { defaultRoute } from "./default-route.ts";
import { openControlPlane } from "./index.ts";
import { readOptions } from "./options.ts";
import { gitSource } from "./vcs/git-source.ts";

async function main(): Promise<void> {
  const options = readOptions(process.env);
  const controlPlane = await openControlPlane({
    dataDirectory: options.COFFERDAM_DATA_DIRECTORY,
    clock: systemClock,
    route: defaultRoute,
    sources: gitSource({ directory: join(options.COFFERDAM_DATA_DIRECTORY, "mirrors") }),
    logLevel: options.COFFERDAM_LOG_LEVEL,
  });
  const { url } = await controlPlane.listen({ host: options.COFFERDAM_HOST, port: options.COFFERDAM_PORT });
  process.stderr.write(`control plane listens on ${url}\n`);
  const stopped = new Promise((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
  await stopped;
  await controlPlane.close({ graceMs: options.COFFERDAM_STOP_GRACE_MS });
}

try {
  await main();
} catch (error) {
  process.stderr.write(`control plane: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
