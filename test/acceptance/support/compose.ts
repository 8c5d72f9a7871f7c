import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { describeAddress } from "../../../src/engine/docker/index.ts";
import { addressUnderTest } from "../../docker/engine-under-test.ts";

export const root = join(import.meta.dirname, "..", "..", "..");
const run = promisify(execFile);
const maxBuffer = 64 * 1024 * 1024;

export interface Said {
  code: number;
  stdout: string;
  stderr: string;
}

/** `docker …` on the engine under test. Resolves whatever comes of it. */
export async function docker(
  args: string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<Said> {
  const env = { ...process.env, DOCKER_HOST: describeAddress(await addressUnderTest()), ...options.env };
  try {
    const { stdout, stderr } = await run("docker", args, { env, cwd: options.cwd ?? root, maxBuffer });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string };
    return { code: typeof code === "number" ? code : -1, stdout: stdout ?? "", stderr: stderr ?? String(error) };
  }
}

/** The same; throws with what it said where it fails. */
export async function dockerOk(...args: Parameters<typeof docker>): Promise<string> {
  const said = await docker(...args);
  if (said.code !== 0) throw new Error(`docker ${args[0].join(" ")}: ${said.code}\n${said.stdout}${said.stderr}`);
  return said.stdout.trim();
}

/** One of the compose files as people start it, on the engine under test. */
export class Composed implements AsyncDisposable {
  readonly #file: string;
  readonly #env: Record<string, string>;

  private constructor(file: string, env: Record<string, string>) {
    this.#file = file;
    this.#env = env;
  }

  /** One of compose/, or a path. */
  static async open(file: string, env: Record<string, string> = {}): Promise<Composed> {
    return new Composed(resolve(root, "compose", file), {
      ...(await pluginEnvironment()),
      ...(await socketEnvironment()),
      COFFERDAM_PORT: "0",
      ...env,
    });
  }

  async compose(...args: string[]): Promise<string> {
    return await dockerOk(["compose", "-f", this.#file, ...args], { env: this.#env });
  }

  /** Runs in a service's container; resolves whatever comes of it. */
  async exec(service: string, ...command: string[]): Promise<Said> {
    return await docker(["compose", "-f", this.#file, "exec", "-T", service, ...command], { env: this.#env });
  }

  async containers(service: string): Promise<string[]> {
    return lines(await this.compose("ps", "--all", "--quiet", service));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.compose("down", "--volumes", "--timeout", "60");
  }
}

/** For hooks. Bounded by theirs. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(200);
}

/**
 * The containers, networks and volumes that Cofferdam has on the engine under test, but for those that were there before;
 * volumes by name, the others by id.
 */
export async function leftovers(before: readonly string[]): Promise<string[]> {
  const ours = ["--filter", "label=dev.cofferdam.role"];
  const lists = await Promise.all([
    dockerOk(["ps", "--all", "--quiet", "--no-trunc", ...ours]),
    dockerOk(["network", "ls", "--quiet", "--no-trunc", ...ours]),
    dockerOk(["network", "ls", "--quiet", "--no-trunc", "--filter", "name=cofferdam"]),
    dockerOk(["volume", "ls", "--quiet", ...ours]),
    dockerOk(["volume", "ls", "--quiet", "--filter", "name=cofferdam_"]),
  ]);
  return lists.flatMap(lines).filter((object) => !before.includes(object));
}

export function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** Where the setup has put the plugin, if docker had none. */
async function pluginEnvironment(): Promise<Record<string, string>> {
  const { stdout } = await run("sh", [join(root, "scripts", "setup-compose.sh")]);
  const directory = /DOCKER_CONFIG=(\S+)/.exec(stdout)?.[1];
  return directory === undefined ? {} : { DOCKER_CONFIG: directory };
}

/** The engine under test need not be the machine's own: agents in it get its own socket. */
export async function socketEnvironment(): Promise<{ COFFERDAM_ENGINE_SOCKET: string }> {
  const address = await addressUnderTest();
  if (address.kind !== "socket")
    throw new Error("containers with a launch agent need the socket of the engine under test");
  return { COFFERDAM_ENGINE_SOCKET: address.path };
}
