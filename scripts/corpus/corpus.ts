import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { OrbSource } from "../../src/config/index.ts";
import { compileConfig, type Diagnostic, printCompiled, renderDiagnostics } from "../../src/config/index.ts";
import { orbFolder } from "../../src/orbs/index.ts";
import { load } from "./compare.ts";

/** What became of one case; without a problem it is as it should be. */
export interface Outcome {
  name: string;
  problem?: string | undefined;
  /** The problem is the case's own: it is told, and not counted. */
  excuse?: string | undefined;
}

/** A folder of other people's configs, with what is known about each. */
export class Corpus {
  readonly directory: string;
  readonly #orbs: OrbSource;

  constructor(directory: string) {
    this.directory = directory;
    this.#orbs = orbFolder(join(directory, "oracle/orbs"));
  }

  async read(...path: string[]): Promise<string> {
    return await readFile(join(this.directory, ...path), "utf8");
  }

  /** Rows of an index.tsv, by the names of its first line. */
  async index(...path: string[]): Promise<Record<string, string>[]> {
    const [head = "", ...lines] = (await this.read(...path)).split("\n").filter((line) => line !== "");
    const names = head.split("\t");
    return lines.map((line) => {
      const cells = line.split("\t");
      return Object.fromEntries(names.map((name, at) => [name, cells[at] ?? ""]));
    });
  }

  /** `output` is what CircleCI made of it: its first lines say which orb versions were the newest then. */
  async compile(text: string, output = ""): Promise<Compiled> {
    const file = "config.yml";
    const result = await compileConfig(text, { file, orbs: pinned(this.#orbs, output) });
    const errors = result.diagnostics.filter((one) => one.severity === "error");
    return {
      diagnostics: result.diagnostics,
      errors,
      rendered: renderDiagnostics(result.diagnostics, result.texts),
      // What is printed is compared, not what is in memory: it is what other tools read.
      config:
        result.compiled && errors.length === 0
          ? load(printCompiled(result.compiled, { source: text, orbs: result.orbs }))
          : undefined,
    };
  }
}

function pinned(orbs: OrbSource, output: string): OrbSource {
  const versions = new Map(
    [...output.matchAll(/^# Orb '(.+)' resolved to '.+@(.+)'$/gm)].map(([, from = "", to = ""]) => [from, to]),
  );
  return {
    find: async (reference, signal) => {
      if (reference.kind === "url") return await orbs.find(reference, signal);
      const version = versions.get(`${reference.namespace}/${reference.name}@${reference.version}`);
      return await orbs.find(version === undefined ? reference : { ...reference, version }, signal);
    },
  };
}

export interface Compiled {
  diagnostics: readonly Diagnostic[];
  errors: readonly Diagnostic[];
  rendered: string;
  /** Undefined when there are errors. */
  config: unknown;
}

/** The errors in one line, for a case that should have none. */
export function tell(errors: readonly Diagnostic[]): string {
  const told = errors.map(({ line, column, code, message }) => `${line}:${column} ${code}: ${message.split("\n")[0]}`);
  return `${told.slice(0, 3).join(" | ")}${told.length > 3 ? ` | and ${told.length - 3} more` : ""}`;
}
