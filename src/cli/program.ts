import { Command } from "commander";
import { configCommand } from "./config.ts";
import { doctorCommand } from "./doctor.ts";
import { sane } from "./exec/render/text.ts";
import { execCommand } from "./exec.ts";
import { type Cli, CommandError, type ExitCode, exitCode, type Io } from "./io.ts";
import { orbCommand } from "./orb.ts";

/** Runs a command line, without the first two words of argv. Never throws, prints no stack trace. */
export async function runCli(args: string[], io: Io): Promise<ExitCode> {
  let code: ExitCode = exitCode.success;
  const cli: Cli = { io, exit: (value) => (code = value) };
  // A run on this machine is to begin at once: what it does not need is not loaded.
  const more = args[0] === "exec" ? [] : (await import("./operator.ts")).operatorCommands(cli);
  const program = buildProgram(cli, more);
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    return report(error, io);
  }
}

function buildProgram(cli: Cli, more: readonly Command[]): Command {
  const program = new Command("cofferdam")
    .description("Runs CircleCI pipelines on machines you own, with nothing installed on them but a Docker engine.")
    .version(version)
    .showHelpAfterError("(--help shows what is allowed)");
  for (const command of [execCommand(cli), configCommand(cli), orbCommand(cli), doctorCommand(cli), ...more])
    program.addCommand(command);
  return configure(program, cli.io);
}

/** Commander writes and exits by itself unless it is told otherwise, in every command of the tree. */
function configure(command: Command, io: Io): Command {
  command.exitOverride().configureOutput({
    writeOut: (text) => io.stdout.write(text),
    writeErr: (text) => io.stderr.write(text),
  });
  for (const child of command.commands) configure(child, io);
  return command;
}

function report(error: unknown, io: Io): ExitCode {
  if (isCommanderError(error)) return error.exitCode === 0 ? exitCode.success : exitCode.usage;
  if (error instanceof CommandError) {
    // It may quote what a config or a server says.
    io.stderr.write(`cofferdam: ${sane(error.message, { colours: false })}\n`);
    return error.exitCode;
  }
  const message = error instanceof Error ? error.message : String(error);
  io.stderr.write(
    `cofferdam: unexpected error: ${message}\nThis is a defect of cofferdam. COFFERDAM_DEBUG=1 shows where.\n`,
  );
  if (io.env["COFFERDAM_DEBUG"] && error instanceof Error) io.stderr.write(`${error.stack}\n`);
  return exitCode.infrastructure;
}

function isCommanderError(error: unknown): error is { code: string; exitCode: number } {
  return (
    error instanceof Error && "code" in error && typeof error.code === "string" && error.code.startsWith("commander.")
  );
}

const version = "0.1.0";
