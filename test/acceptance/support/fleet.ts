import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeAddress } from "../../../src/engine/docker/index.ts";
import { addressUnderTest } from "../../docker/engine-under-test.ts";
import { bareEnvironment } from "../../fakes/bare-environment.ts";

const run = promisify(execFile);
const source = join(import.meta.dirname, "..", "..", "..", "src");

/** A control plane and a launch agent as processes of their own, and a repository that is served over HTTP. */
export class Fleet implements AsyncDisposable {
  readonly directory: string;
  readonly #processes: ChildProcess[] = [];
  #repository: Server | undefined;
  /** What the processes have written. */
  log = "";

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async open(): Promise<Fleet> {
    return new Fleet(await mkdtemp(join(tmpdir(), "cofferdam-fleet-")));
  }

  /** Makes class and token at its first start. Answers where it listens, and the administrator's token. */
  async startControlPlane(resourceClass: string): Promise<{ CIRCLE_HOST: string; CIRCLE_TOKEN: string }> {
    const adminTokenFile = join(this.directory, "admin-token");
    const server = this.#start(["control-plane", "main.ts"], {
      COFFERDAM_DATA_DIRECTORY: join(this.directory, "data"),
      COFFERDAM_PORT: "0",
      COFFERDAM_ADMIN_TOKEN_FILE: adminTokenFile,
      COFFERDAM_BOOTSTRAP_CLASSES: resourceClass,
      COFFERDAM_BOOTSTRAP_TOKEN_DIRECTORY: join(this.directory, "tokens"),
      COFFERDAM_ORB_REGISTRY: "none",
    });
    const [, url = ""] = await this.#says(server, /listens on (\S+)/);
    return { CIRCLE_HOST: url, CIRCLE_TOKEN: (await readFile(adminTokenFile, "utf8")).trim() };
  }

  async startAgent(name: string, settings: { url: string; resourceClass: string }): Promise<ChildProcess> {
    return this.#start(["launch-agent", "main.ts"], {
      CIRCLECI_RUNNER_API_URL: settings.url,
      CIRCLECI_RUNNER_API_AUTH_TOKEN_FILE: join(this.directory, "tokens", settings.resourceClass.replace("/", ".")),
      CIRCLECI_RUNNER_NAME: name,
      COFFERDAM_HEALTH_ADDRESS: "none",
      DOCKER_HOST: describeAddress(await addressUnderTest()),
    });
  }

  /** Commits these files, and serves them as files: git's own server is not needed for that. */
  async serveRepository(files: Record<string, string>): Promise<{ url: string; revision: string }> {
    const tree = join(this.directory, "tree");
    await mkdir(tree);
    const git = async (...args: string[]): Promise<string> => {
      const who = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
      return (await run("git", ["-C", tree, ...who, ...args])).stdout.trim();
    };
    await git("init", "-q", "-b", "main");
    for (const [name, text] of Object.entries(files)) await writeFile(join(tree, name), text);
    await git("add", ".");
    await git("commit", "-qm", "first");
    await git("update-server-info");
    this.#repository = createServer((request, response) => {
      const path = decodeURIComponent((request.url ?? "").replace(/\?.*/, "")).replace(/^\/project\.git\//, "");
      readFile(join(tree, ".git", path)).then(
        (bytes) => response.end(bytes),
        () => response.writeHead(404).end(),
      );
    }).listen(0, "127.0.0.1");
    await once(this.#repository, "listening");
    const { port } = this.#repository.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}/project.git`, revision: await git("rev-parse", "HEAD") };
  }

  #start(path: string[], settings: Record<string, string>): ChildProcess {
    const env = { ...bareEnvironment(), HOME: this.directory, ...settings };
    const child = spawn(process.execPath, [join(source, ...path)], { env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (this.log += text));
    this.#processes.push(child);
    return child;
  }

  async #says(child: ChildProcess, pattern: RegExp): Promise<RegExpMatchArray> {
    const ended = new AbortController();
    child.once("exit", () => ended.abort());
    const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(120_000)]);
    for (;;) {
      const match = pattern.exec(this.log);
      if (match) return match;
      if (!child.stderr) throw new Error("its errors are not read");
      await once(child.stderr, "data", { signal }).catch(() => {
        throw new Error(`It never said ${String(pattern)}, but:\n${this.log}`);
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#processes.toReversed()) await end(child);
    this.#repository?.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Ends a process as an operator does; answers its exit code. */
export async function end(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exit = once(child, "exit", { signal: AbortSignal.timeout(60_000) });
  child.kill("SIGTERM");
  await exit;
  return child.exitCode;
}
