import type { Readable, Writable } from "node:stream";

/** What a command may know of the world around the process. Only main.ts makes one from the real thing. */
export interface Io {
  stdin: Readable;
  stdout: Writable & { isTTY?: boolean; columns?: number };
  stderr: Writable & { isTTY?: boolean };
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  /** Aborts at the first SIGINT or SIGTERM. */
  interrupted: AbortSignal;
  /** Aborts at the second one. */
  hurried: AbortSignal;
}

/** What the process exits with. The same table for every command. */
export const exitCode = {
  success: 0,
  /** The pipeline is red. */
  failed: 1,
  /** Bad usage, or a config that does not compile. */
  usage: 2,
  /** No engine, or infrastructure failed. */
  infrastructure: 3,
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** Ends a command with a message for a person: what, where, and what to do next. */
export class CommandError extends Error {
  override name = "CommandError";
  readonly exitCode: ExitCode;
  constructor(message: string, options: { exitCode: ExitCode; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode;
  }
}

/** One run of the program: the world that it sees, and the code that it is to exit with. */
export interface Cli {
  io: Io;
  exit(code: ExitCode): void;
}
