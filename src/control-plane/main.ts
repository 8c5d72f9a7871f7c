import { join } from "node:path";
import type { OrbSource } from "../config/orb-source.ts";
import { systemClock } from "../lib/clock.ts";
import { orbRegistry } from "../orbs/index.ts";
import { compileWith } from "./compile.ts";
import { openControlPlane } from "./index.ts";

import { adminTokenFileOf, type Options, readOptions, retentionOf, tlsOf } from "./options.ts";
import { storesOf } from "./store-settings.ts";

import { gitSource } from "./vcs/git-source.ts";

/** `health` asks a server that runs; without a word this process is the server. */
async function main(command: string | undefined): Promise<void> {
  const options = readOptions(process.env);
  if (command === undefined) return await serve(options);
  if (command !== "health") throw new Error(`there is no command "${command}": there is health, or none at all`);
  const { healthProblem } = await import("./health-check.ts");
  const problem = await healthProblem(options);
  if (problem !== undefined) throw new Error(problem);
}

async function serve(options: Options): Promise<void> {
  const registry = options.COFFERDAM_ORB_REGISTRY;
  const adminTokenFile = adminTokenFileOf(options);
  const tls = tlsOf(options);
  const controlPlane = await openControlPlane({
    dataDirectory: options.COFFERDAM_DATA_DIRECTORY,
    ...storesOf(options),
    clock: systemClock,
    defaultClass: options.COFFERDAM_DEFAULT_CLASS ?? options.COFFERDAM_BOOTSTRAP_CLASSES[0],
    sources: gitSource({ directory: join(options.COFFERDAM_DATA_DIRECTORY, "mirrors") }),
    compile: compileWith(),
    schedules: true,
    ...(registry === "none" ? {} : { orbs: publicOrbs(registry) }),
    adminTokenFile,
    bootstrap: {
      classes: options.COFFERDAM_BOOTSTRAP_CLASSES,
      tokenDirectory: options.COFFERDAM_BOOTSTRAP_TOKEN_DIRECTORY,
    },
    ...(tls ? { tls } : {}),
    retention: retentionOf(options),
    launchAgentImage: options.COFFERDAM_LAUNCH_AGENT_IMAGE,
    logLevel: options.COFFERDAM_LOG_LEVEL,
  });
  process.on("SIGHUP", () => controlPlane.reloadCertificate());
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
  await main(process.argv[2]);
} catch (error) {
  process.stderr.write(`control plane: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
