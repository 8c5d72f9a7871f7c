import { spawn } from "node:child_process";
import { closeSync, constants, openSync, unlinkSync } from "node:fs";
import { join } from "node:path";

/** Both ends of a pipe. The write end is for the child, and closed here once it has it. */
interface Pipe {
  read: number;
  write: number;
}

export interface PipePair {
  stdout: Pipe;
  stderr: Pipe;
}

type Names = [stdout: string, stderr: string];

/** Steps that get their pipes from one run of the program: as it starts, nothing that a step says is read. */
const pairsAtOnce = 8;

/**
 * Real pipes for the steps. Those that node makes are sockets, and a socket cannot be opened by name: in a step,
 * `tee /dev/stderr` and `> /dev/stdout` would fail. So a program makes FIFOs, ahead of need; they are opened and unlinked.
 */
export class PipeSource {
  readonly #mkfifo: readonly string[];
  readonly #directory: () => string | undefined;
  #count = 0;
  #stock: Names[] = [];
  #making: Promise<void> | undefined;

  /** `mkfifo`: a command line to which names are added. */
  constructor(mkfifo: readonly string[], directory: () => string | undefined) {
    this.#mkfifo = mkfifo;
    this.#directory = directory;
  }

  /** Makes the next pairs in the background. */
  prepare(): void {
    if (this.#stock.length > 0) return;
    this.#making ??= this.#make()
      .then((made) => void this.#stock.push(...made))
      // A process that cannot be started now may well be later: node's own pipes do until then.
      .catch(() => undefined)
      .finally(() => (this.#making = undefined));
  }

  /** Undefined where none can be made: then node's own have to do. */
  async take(): Promise<PipePair | undefined> {
    this.prepare();
    await this.#making;
    const names = this.#stock.shift();
    if (!names) return undefined;
    try {
      return { stdout: openPipe(names[0]), stderr: openPipe(names[1]) };
    } catch {
      return undefined;
    }
  }

  async #make(): Promise<Names[]> {
    const directory = this.#directory();
    const [program, ...args] = this.#mkfifo;
    if (directory === undefined || program === undefined) return [];
    const pairs = Array.from({ length: pairsAtOnce }, (): Names => {
      this.#count += 1;
      return [join(directory, `${this.#count}.out`), join(directory, `${this.#count}.err`)];
    });
    return await new Promise((resolve) => {
      const child = spawn(program, [...args, ...pairs.flat()], { stdio: "ignore" });
      child.on("error", () => resolve([]));
      child.on("exit", (code) => resolve(code === 0 ? pairs : []));
    });
  }
}

function openPipe(path: string): Pipe {
  // The reader first and without waiting: a FIFO's writer waits for one.
  const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const write = openSync(path, constants.O_WRONLY);
    unlinkSync(path);
    return { read, write };
  } catch (error) {
    closeSync(read);
    throw error;
  }
}
