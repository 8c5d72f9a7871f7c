import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createDockerEngine, describeAddress, type EngineAddress, engineAddresses } from "../../engine/docker/index.ts";
import { type Engine, EngineError, type EngineInfo, isEngineError } from "../../engine/engine.ts";
import { CommandError, exitCode, type Io } from "../io.ts";

/** An engine under load answers within this. */
const answerMs = 15_000;

export interface FoundEngine {
  address: EngineAddress;
  engine: Engine;
  info: EngineInfo;
}

/** The first engine that answers: DOCKER_HOST's, else the usual sockets of Docker and Podman. */
export async function findEngine(
  env: Io["env"],
  options: { helperLabels: Record<string, string>; signal: AbortSignal },
): Promise<FoundEngine> {
  const refusals: string[] = [];
  for (const address of await addresses(env)) {
    const engine = createDockerEngine({ address, helperLabels: options.helperLabels });
    try {
      return { address, engine, info: await answered(engine, options.signal) };
    } catch (error) {
      if (!isEngineError(error)) throw error;
      refusals.push(`${describeAddress(address)}: ${error.message}`);
      // Answers, but not to us, or too old: the next socket would hide from the person what is to be done.
      if (error.code !== "unreachable") break;
    }
  }
  throw new CommandError(
    `no container engine can be used.\n${refusals.map((refusal) => `  ${refusal}\n`).join("")}` +
      "Start Docker (20.10 or newer) or Podman's socket, or name another engine in DOCKER_HOST. In a checkout, `npm start` sets one up.",
    { exitCode: exitCode.infrastructure },
  );
}

async function answered(engine: Engine, signal: AbortSignal): Promise<EngineInfo> {
  const late = AbortSignal.timeout(answerMs);
  try {
    return await engine.info(AbortSignal.any([signal, late]));
  } catch (cause) {
    if (!late.aborted || signal.aborted) throw cause;
    const message = `the engine did not answer within ${answerMs / 1000} s. Look whether it still works: docker info`;
    throw new EngineError("unreachable", message, { cause });
  }
}

async function addresses(env: Io["env"]): Promise<EngineAddress[]> {
  try {
    return engineAddresses({
      dockerHost: env["DOCKER_HOST"],
      runtimeDirectory: env["XDG_RUNTIME_DIR"],
      tls: await readTls(env),
    });
  } catch (cause) {
    if (cause instanceof RangeError) throw new CommandError(cause.message, { exitCode: exitCode.usage, cause });
    throw cause;
  }
}

/** The files of DOCKER_CERT_PATH, where TLS is asked for. */
async function readTls(env: Io["env"]): Promise<{ ca?: string; cert?: string; key?: string } | undefined> {
  const directory = env["DOCKER_CERT_PATH"];
  if (!directory || !env["DOCKER_TLS_VERIFY"]) return undefined;
  const read = async (name: string) => await readFile(join(directory, name), "utf8").catch(() => undefined);
  const [ca, cert, key] = await Promise.all([read("ca.pem"), read("cert.pem"), read("key.pem")]);
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

/** The image that brings the task agent, and in which `machine: true` runs. */
export function taskAgentImageOf(env: Io["env"]): string {
  return env["COFFERDAM_TASK_AGENT_IMAGE"] || "cofferdam/task-agent:dev";
}
