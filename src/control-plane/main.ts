import { join } from "node:path";
import type { OrbSource } from "../config/orb-source.ts";
import { systemClock } from "../lib/clock.ts";
import { orbRegistry } from "../orbs/index.ts";
import { compileWith } from "./compile.ts";
import { defaultRoute } from "./default-route.ts";
import { openControlPlane } from "./index.ts";
import { readOptions } from "./options.ts";
import { gitSource } from "./vcs/git-source.ts";

async function main(): Promise<void> {
  const options = readOptions(process.env);
  const registry = options.COFFERDAM_ORB_REGISTRY;
  const adminTokenFile = join(options.COFFERDAM_DATA_DIRECTORY, "admin-token");
  const controlPlane = await openControlPlane({
    dataDirectory: options.COFFERDAM_DATA_DIRECTORY,
    clock: systemClock,
    route: defaultRoute,
    sources: gitSource({ directory: join(options.COFFERDAM_DATA_DIRECTORY, "mirrors") }),
    compile: compileWith(),
    schedules: true,
    ...(registry === "none" ? {} : { orbs: publicOrbs(registry) }),
    adminTokenFile,
    logLevel: options.COFFERDAM_LOG_LEVEL,
  });
  const { url } = await controlPlane.listen({ host: options.COFFERDAM_HOST, port: options.COFFERDAM_PORT });
  process.stderr.write(`control plane listens on ${url}\nthe administrator's token is in ${adminTokenFile}\n`);
  const stopped = new Promise((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
  await stopped;
  await controlPlane.close({ graceMs: options.COFFERDAM_STOP_GRACE_MS });
}

/** Anew for each orb: a registry source gives up on a registry that could not be reached once, and a server runs for long. */
function publicOrbs(url: string): OrbSource {
  return { find: (reference, signal) => orbRegistry({ url }).find(reference, signal) };
}

try {
  await main();
} catch (error) {
  process.stderr.write(`control plane: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
