import { existsSync, readdirSync, readFileSync } from "node:fs";

/** The files that settings may stand in. */
export interface Files {
  /** Throws Error, with words. */
  read(path: string): string;
  exists(path: string): boolean;
  /** Names in a directory. Throws Error, with words. */
  list(path: string): string[];
}

export const hostFiles: Files = {
  read: (path) => inWords(path, () => readFileSync(path, "utf8")),
  exists: (path) => existsSync(path),
  list: (path) => inWords(path, () => readdirSync(path).toSorted()),
};

function inWords<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
    const known: Record<string, string> = { ENOENT: "it does not exist", EACCES: "this user may not read it" };
    throw new Error(`cannot read ${path}: ${known[code] ?? code}`, { cause });
  }
}
