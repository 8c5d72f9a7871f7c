import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { CommandError, exitCode, type Io } from "../io.ts";

/** Contexts by name, from files of `KEY=VALUE` lines; empty lines and those that begin with `#` are passed over. */
export async function readContexts(
  files: Readonly<Record<string, string>>,
  io: Pick<Io, "cwd">,
): Promise<Record<string, Record<string, string>>> {
  const contexts: Record<string, Record<string, string>> = {};
  for (const [name, file] of Object.entries(files)) contexts[name] = await readVariables(resolve(io.cwd, file));
  return contexts;
}

async function readVariables(file: string): Promise<Record<string, string>> {
  const lines = (await read(file)).split(/\r?\n/);
  const variables: Record<string, string> = {};
  for (const [index, line] of lines.entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [, name, value] = /^([A-Za-z_]\w*)=(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined)
      throw new CommandError(`${file}:${index + 1} is not of the form KEY=VALUE.`, { exitCode: exitCode.usage });
    variables[name] = value;
  }
  return variables;
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError(`the context's file cannot be read: ${message}.`, { exitCode: exitCode.usage, cause });
  }
}
