import { access } from "node:fs/promises";
import Docker from "dockerode";
import { createDockerEngine, type EngineAddress, engineAddresses } from "../../src/engine/docker/index.ts";
import type { Engine } from "../../src/engine/engine.ts";

/** The engine that docker and acceptance tests run on: COFFERDAM_TEST_ENGINE, else what the program itself would choose. */
export async function addressUnderTest(): Promise<EngineAddress> {
  const { COFFERDAM_TEST_ENGINE, DOCKER_HOST, XDG_RUNTIME_DIR } = process.env;
  const candidates = engineAddresses({
    dockerHost: COFFERDAM_TEST_ENGINE ?? DOCKER_HOST,
    runtimeDirectory: XDG_RUNTIME_DIR,
  });
  for (const address of candidates) {
    if (address.kind === "tcp") return address;
    if (await exists(address.path)) return address;
  }
  throw new Error("No container engine for the tests. Run `sh scripts/setup.sh --for test`, or set DOCKER_HOST.");
}

/** The same engine for what the product has no words for. */
export async function dockerodeUnderTest(): Promise<Docker> {
  const address = await addressUnderTest();
  return new Docker(address.kind === "socket" ? { socketPath: address.path } : address);
}

export async function engineUnderTest(): Promise<Engine> {
  return createDockerEngine({ address: await addressUnderTest() });
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
