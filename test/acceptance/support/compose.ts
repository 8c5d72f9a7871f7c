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
  readonly #files: string[];
  readonly #env: Record<string, string>;

  private constructor(files: string[], env: Record<string, string>) {
    this.#files = files;
    this.#env = env;
  }

  /** One of compose/, or a path; and the settings that it reads. Further files are laid over it. */
  static async open(file: string, env: Record<string, string> = {}, over: readonly string[] = []): Promise<Composed> {
    const files = [file, ...over].flatMap((name) => ["-f", resolve(root, "compose", name)]);
    return new Composed(files, {
      ...(await pluginEnvironment()),
      ...(await socketEnvironment()),
      COFFERDAM_PORT: "0",
      ...env,
    });
  }

  async compose(...args: string[]): Promise<string> {
    return await dockerOk(["compose", ...this.#files, ...args], { env: this.#env });
  }

  /** Runs in a service's container; resolves whatever comes of it. */
  async exec(service: string, ...command: string[]): Promise<Said> {
    return await docker(["compose", ...this.#files, "exec", "-T", service, ...command], { env: this.#env });
  }

  /** Puts a small file into a service's container. */
  async write(service: string, path: string, text: string): Promise<void> {
    const encoded = Buffer.from(text).toString("base64");
    const said = await this.exec(service, "sh", "-c", `echo ${encoded} | base64 -d > ${path}`);
    if (said.code !== 0) throw new Error(`${path} cannot be written in ${service}: ${said.stderr}`);
  }

  async containers(service: string): Promise<string[]> {
    return lines(await this.compose("ps", "--all", "--quiet", service));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.compose("down", "--volumes", "--timeout", "60");
  }
}

/** Longer than anything takes on a machine that has much else to do, and shorter than a test's own limit, which says nothing. */
const patienceMs = 150_000;

/** Looks until it is as it should be, and resolves with it. Throws with what was seen last, and what the engine says, where it never is. */
export async function eventually<T>(look: () => Promise<T>, isRight: (seen: T) => boolean): Promise<T> {
  const giveUpAt = performance.now() + patienceMs;
  for (;;) {
    const seen = await look();
    if (isRight(seen)) return seen;
    if (performance.now() > giveUpAt)
      throw new Error(`It never was as it should be. At last: ${JSON.stringify(seen)}\n${await engineReport()}`);
    await sleep(200);
  }
}

/** All containers, and the last words of those that are ours. */
async function engineReport(): Promise<string> {
  const { stdout } = await docker(["ps", "--all", "--format", "{{.Names}}\t{{.Image}}\t{{.Status}}"]);
  const names = lines(stdout).map((line) => line.split("\t")[0] ?? "");
  const logs = names
    .filter((name) => name.startsWith("cofferdam"))
    .map(async (name) => {
      const said = await docker(["logs", "--tail", "15", name]);
      return `── ${name}\n${said.stdout}${said.stderr}`;
    });
  return [stdout, ...(await Promise.all(logs))].join("\n");
}

/**
 * The containers, networks and volumes of Cofferdam and of a compose project that are on the engine under test, or that of DOCKER_HOST,
 * but for those that were there before; volumes by name, the others by id.
 */
export async function leftovers(
  before: readonly string[] = [],
  { project = "cofferdam", env = {} }: { project?: string; env?: Record<string, string> } = {},
): Promise<string[]> {
  const filters = ["label=dev.cofferdam.role", `label=com.docker.compose.project=${project}`];
  const kinds = [
    ["ps", "--all", "--quiet", "--no-trunc"],
    ["network", "ls", "--quiet", "--no-trunc"],
    ["volume", "ls", "--quiet"],
  ];
  const lists = kinds.flatMap((kind) =>
    filters.map(async (filter) => await dockerOk([...kind, "--filter", filter], { env })),
  );
  return [...new Set((await Promise.all(lists)).flatMap(lines))].filter((object) => !before.includes(object));
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
