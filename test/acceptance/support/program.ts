import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describeAddress } from "../../../src/engine/docker/index.ts";
import { WatchEvent } from "../../../src/protocol/watch.ts";
import { addressUnderTest } from "../../docker/engine-under-test.ts";
import { bareEnvironment } from "../../fakes/bare-environment.ts";
import { Story } from "../../scenarios/story.ts";

const root = join(import.meta.dirname, "..", "..", "..");
export const examples = join(root, "docs", "examples");

/** A run that takes longer hangs, on whatever machine. Less than a test's own limit, so that what it said can be told. */
const hangMs = 150_000;

export interface RunOptions {
  stdin?: string;
  env?: Record<string, string>;
  /** What it writes is thrown away, and counted. */
  discard?: boolean;
}

export interface Finished {
  /** Null where a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
  stdoutBytes: number;
  /** The most memory that the process held, as it was seen whenever it wrote. */
  peakMemoryBytes: number;
}

/** A user's home on this machine: a directory with everything that the program keeps between runs. */
export class Home implements AsyncDisposable {
  readonly directory: string;
  readonly #engine: string;
  readonly #runs: Run[] = [];

  private constructor(directory: string, engine: string) {
    this.directory = directory;
    this.#engine = engine;
  }

  static async open(): Promise<Home> {
    const directory = await mkdtemp(join(tmpdir(), "cofferdam-acceptance-"));
    const home = new Home(directory, describeAddress(await addressUnderTest()));
    await mkdir(home.runtimeDirectory, { mode: 0o700 });
    return home;
  }

  get dataDirectory(): string {
    return join(this.directory, "data", "cofferdam");
  }

  get runtimeDirectory(): string {
    return join(this.directory, "run");
  }

  /** A project's directory with this config, and other files by their paths. */
  async project(config: string, files: Record<string, string> = {}): Promise<string> {
    const directory = await mkdtemp(join(this.directory, "project-"));
    for (const [path, text] of Object.entries({ ".circleci/config.yml": config, ...files })) {
      await mkdir(dirname(join(directory, path)), { recursive: true });
      await writeFile(join(directory, path), text);
    }
    return directory;
  }

  /** Starts `cofferdam` with these arguments. */
  start(args: string[], options: RunOptions = {}): Run {
    const env = {
      ...bareEnvironment(),
      HOME: this.directory,
      XDG_DATA_HOME: join(this.directory, "data"),
      XDG_RUNTIME_DIR: this.runtimeDirectory,
      DOCKER_HOST: this.#engine,
      ...options.env,
    };
    const run = new Run(args, { env, cwd: this.directory, discard: options.discard === true });
    run.child.stdin.end(options.stdin ?? "");
    this.#runs.push(run);
    return run;
  }

  async cofferdam(args: string[], options: RunOptions = {}): Promise<Finished> {
    return await this.start(args, options).ended;
  }

  async exec(args: string[], options: RunOptions = {}): Promise<Finished> {
    return await this.cofferdam(["exec", ...args], options);
  }

  /** Runs a config with `--json`, and gives what was told. */
  async tell(config: string, args: string[] = [], options: RunOptions = {}): Promise<Finished & Told> {
    const finished = await this.exec([await this.project(config), "--json", ...args], options);
    return { ...finished, ...told(finished.stdout) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const run of this.#runs) run.child.kill("SIGKILL");
    await Promise.all(this.#runs.map((run) => run.ended));
    await rm(this.directory, { recursive: true, force: true });
  }
}

export interface Told {
  events: WatchEvent[];
  story: Story;
}

/** What `--json` says. Throws where a line is no event. */
export function told(stdout: string): Told {
  const story = new Story();
  const lines = stdout.split("\n").filter((line) => line !== "");
  const events = lines.map((line) => WatchEvent.parse(JSON.parse(line)));
  for (const event of events) story.take(event);
  return { events, story };
}

/** One process of the program. */
class Run {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Finished>;
  stdout = "";
  #stderr = "";
  #stdoutBytes = 0;
  #peakMemoryBytes = 0;

  constructor(args: string[], options: { env: Record<string, string>; cwd: string; discard: boolean }) {
    const { env, cwd, discard } = options;
    const main = join(root, "src", "cli", "main.ts");
    this.child = spawn(process.execPath, [main, ...args], {
      env,
      cwd,
      signal: AbortSignal.timeout(hangMs),
      killSignal: "SIGKILL",
    });
    this.child.stdin.on("error", () => {});
    this.child.on("error", () => {});
    if (!discard) this.child.stdout.setEncoding("utf8");
    this.child.stdout.on("data", (chunk: Buffer | string) => {
      this.#stdoutBytes += chunk.length;
      if (typeof chunk === "string") this.stdout += chunk;
      else this.#lookAtMemory();
    });
    this.child.stderr.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    this.ended = this.#end();
  }

  /** Resolves once its output contains the text. Throws when it ends without. */
  async says(text: string): Promise<void> {
    const over = new AbortController();
    void this.ended.then(() => over.abort());
    while (!this.stdout.includes(text)) {
      const written = once(this.child.stdout, "data", { signal: over.signal });
      await written.catch(() => {
        throw new Error(`It never said ${JSON.stringify(text)}, but:\n${this.stdout}${this.#stderr}`);
      });
    }
  }

  async #end(): Promise<Finished> {
    const { promise, resolve } = Promise.withResolvers<number | null>();
    this.child.on("close", resolve);
    const code = await promise;
    const { stdout } = this;
    return {
      code,
      stdout,
      stderr: this.#stderr,
      stdoutBytes: this.#stdoutBytes,
      peakMemoryBytes: this.#peakMemoryBytes,
    };
  }

  #lookAtMemory(): void {
    try {
      const status = readFileSync(`/proc/${this.child.pid}/status`, "utf8");
      this.#peakMemoryBytes = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024 || this.#peakMemoryBytes;
    } catch {
      // It has ended.
    }
  }
}
