import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { CommandError, exitCode, type Io } from "../io.ts";

/** Where CircleCI has its config, and what commands read when no file is named. */
export const defaultConfig = ".circleci/config.yml";

/** The text of a file; `-` is standard input. */
export async function readInput(io: Io, file: string): Promise<string> {
  if (file === "-") return await text(io.stdin);
  try {
    return await readFile(resolve(io.cwd, file), "utf8");
  } catch (cause) {
    throw new CommandError(`cannot read ${file}: ${reasonOf(cause)}`, { exitCode: exitCode.usage, cause });
  }
}

/** What a file system error means, in words. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return reasons[code] ?? (error instanceof Error ? error.message : String(error));
}

const reasons: Record<string, string> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a directory",
  ENOTDIR: "a part of its path is no directory",
  EACCES: "permission denied",
};

/** Collects an option that may be given several times. */
export function collected(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}
