import { Readable, Writable } from "node:stream";
import type { Command } from "commander";
import { type Cli, CommandError, type ExitCode, exitCode, type Io } from "../../src/cli/io.ts";

export interface Run {
  code: ExitCode;
  stdout: string;
  stderr: string;
}

/** Runs one command of the program in this process, with a world made up for it. */
export async function runCommand(
  build: (cli: Cli) => Command,
  args: string[],
  world: { cwd?: string; stdin?: string; env?: Record<string, string> } = {},
): Promise<Run> {
  const stdout = sink();
  const stderr = sink();
  const run: Run = { code: exitCode.success, stdout: "", stderr: "" };
  const { signal } = new AbortController();
  const io: Io = {
    stdin: Readable.from([world.stdin ?? ""]),
    stdout: stdout.stream,
    stderr: stderr.stream,
    env: { COFFERDAM_ORB_REGISTRY: "none", ...world.env },
    cwd: world.cwd ?? process.cwd(),
    interrupted: signal,
    hurried: signal,
  };
  try {
    await quiet(build({ io, exit: (code) => (run.code = code) }), io).parseAsync(args, { from: "user" });
  } catch (error) {
    run.code = codeOf(error, io);
  }
  return { ...run, stdout: stdout.text(), stderr: stderr.text() };
}

function quiet(command: Command, io: Io): Command {
  command.exitOverride().configureOutput({
    writeOut: (text) => io.stdout.write(text),
    writeErr: (text) => io.stderr.write(text),
  });
  for (const child of command.commands) quiet(child, io);
  return command;
}

function codeOf(error: unknown, io: Io): ExitCode {
  if (error instanceof CommandError) {
    io.stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
  const isHelp = error instanceof Error && "exitCode" in error && error.exitCode === 0;
  if (!(error instanceof Error && "code" in error && String(error.code).startsWith("commander."))) throw error;
  return isHelp ? exitCode.success : exitCode.usage;
}

function sink(): { stream: Writable; text(): string } {
  const chunks: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer | string, _encoding, done) {
      chunks.push(String(chunk));
      done();
    },
  });
  return { stream, text: () => chunks.join("") };
}
