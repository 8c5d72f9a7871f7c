import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import type { PipePair, PipeSource } from "./pipes.ts";

export interface Command {
  argv: readonly [string, ...string[]];
  environment: Readonly<Record<string, string>>;
  /** Absolute, and there. */
  directory: string;
}

export interface ProcessOptions {
  pipes: PipeSource;
  /** A promise: wait for it before more is read. */
  onOutput: (stream: "stdout" | "stderr", chunk: Buffer) => Promise<void> | undefined;
}

/** `code` is 128 + n where a signal ended it. */
interface ProcessExit {
  code: number;
  signal?: string;
}

export interface RunningProcess {
  /** Its end and that of its group, all output read. */
  exit: Promise<ProcessExit>;
  /** SIGTERM to the whole group, SIGKILL after the grace. Called again: the shorter grace counts. */
  terminate: (options: { graceMs: number }) => void;
}

/** The system could not start it: no such program, no permission, too many arguments. */
export class SpawnError extends Error {
  override name = "SpawnError";
  readonly code: string;
  constructor(code: string, options: { cause: unknown }) {
    super(`cannot start: ${code}`, options);
    this.code = code;
  }
}

/** What a group that its leader left behind gets before it is killed. */
const leftoverGraceMs = 200;
/** How long output is read after the end, where a process that left the group keeps the pipe open. */
const lingerMs = 250;
const maxLingerMs = 2000;

/** Starts a process in a session of its own. Throws SpawnError. */
export async function startProcess(command: Command, options: ProcessOptions): Promise<RunningProcess> {
  const pipes = await options.pipes.take();
  try {
    const child = spawnChild(command, pipes);
    const pid = await started(child);
    const outputs = [
      follow(pipes ? readEnd(pipes.stdout.read) : child.stdout, (chunk) => options.onOutput("stdout", chunk)),
      follow(pipes ? readEnd(pipes.stderr.read) : child.stderr, (chunk) => options.onOutput("stderr", chunk)),
    ];
    options.pipes.prepare();
    let killTimer: NodeJS.Timeout | undefined;
    const exit = ended(child).then(async (result) => {
      clearTimeout(killTimer);
      await endGroup(pid);
      await Promise.all(outputs.map((output) => output.finish()));
      return result;
    });
    const terminate = ({ graceMs }: { graceMs: number }): void => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      signalGroup(pid, graceMs > 0 ? "SIGTERM" : "SIGKILL");
      clearTimeout(killTimer);
      killTimer = setTimeout(() => signalGroup(pid, "SIGKILL"), graceMs);
    };
    return { exit, terminate };
  } catch (cause) {
    for (const fd of pipes ? [pipes.stdout.read, pipes.stderr.read] : []) closeSync(fd);
    throw new SpawnError((cause as NodeJS.ErrnoException).code ?? String(cause), { cause });
  } finally {
    for (const fd of pipes ? [pipes.stdout.write, pipes.stderr.write] : []) closeSync(fd);
  }
}

function spawnChild(command: Command, pipes: PipePair | undefined): ChildProcess {
  const [program, ...args] = command.argv;
  return spawn(program, args, {
    cwd: command.directory,
    env: command.environment,
    detached: true,
    stdio: ["ignore", pipes?.stdout.write ?? "pipe", pipes?.stderr.write ?? "pipe"],
  });
}

/** Known at once where it went well: no need to wait for an event on the way to the first byte. */
async function started(child: ChildProcess): Promise<number> {
  if (child.pid !== undefined) return child.pid;
  return await new Promise((_resolve, reject) => child.once("error", reject));
}

function readEnd(fd: number): Socket {
  return new Socket({ fd, readable: true, writable: false });
}

async function ended(child: ChildProcess): Promise<ProcessExit> {
  return await new Promise((resolve) => {
    child.once("exit", (code, signal) => {
      resolve(signal ? { code: 128 + constants.signals[signal], signal } : { code: code ?? 0 });
    });
  });
}

interface Followed {
  /** Resolves when the pipe is at its end, or when nothing has come for a while. */
  finish: () => Promise<void>;
}

function follow(stream: Readable | null, onChunk: (chunk: Buffer) => Promise<void> | undefined): Followed {
  if (!stream) return { finish: async () => {} };
  let chunks = 0;
  let waiting = 0;
  stream.on("data", (chunk: Buffer) => {
    chunks += 1;
    const wait = onChunk(chunk);
    if (!wait) return;
    waiting += 1;
    stream.pause();
    void wait.finally(() => {
      waiting -= 1;
      stream.resume();
    });
  });
  const closed = new Promise<true>((resolve) => {
    stream.once("close", () => resolve(true));
    stream.once("error", () => resolve(true));
  });
  const finish = async (): Promise<void> => {
    for (let lingeredMs = 0; lingeredMs < maxLingerMs; ) {
      const seen = chunks;
      const atEnd = await Promise.race([closed, pause(lingerMs)]);
      if (atEnd === true || (chunks === seen && waiting === 0)) break;
      // Its own output that a slow reader has not taken yet is never cut off.
      if (waiting === 0) lingeredMs += lingerMs;
    }
    stream.destroy();
  };
  return { finish };
}

async function endGroup(pid: number): Promise<void> {
  if (!signalGroup(pid, "SIGTERM")) return;
  for (let waitedMs = 0; waitedMs < leftoverGraceMs; waitedMs += 10) {
    await pause(10);
    if (!signalGroup(pid, 0)) return;
  }
  signalGroup(pid, "SIGKILL");
}

/** False where there is nobody left to signal. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch {
    // ESRCH: gone. EPERM: only processes of other users, which go with the container.
    return false;
  }
}

async function pause(ms: number): Promise<void> {
  await new Promise<void>((resolve) => setTimeout(resolve, ms));
}
