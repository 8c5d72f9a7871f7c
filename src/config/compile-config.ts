import { compileWorkflows } from "./compile/compile.ts";
import type { CompileOptions } from "./compile-options.ts";
import type { CompiledConfig } from "./compiled.ts";
import type { Diagnostic } from "./diagnostics/diagnostic.ts";
import { Reporter } from "./diagnostics/reporter.ts";
import { Source } from "./diagnostics/source.ts";
import { expandConfig } from "./expand/config.ts";
import type { ResolvedOrb } from "./expand/orb-fetch.ts";
import { lint } from "./lint/lint.ts";
import { parse } from "./parse/parse.ts";
import { checkConfig } from "./schema/config.ts";

export interface CompileResult {
  /** In the order of the text, errors and warnings. */
  diagnostics: Diagnostic[];
  /** Only when there is no error. */
  compiled?: CompiledConfig;
  /** Registry and URL orbs, by what they were resolved to. */
  orbs: ResolvedOrb[];
  /** The texts that diagnostics point into, by file name, for rendering. */
  texts: ReadonlyMap<string, string>;
}

/** Compiles a config. Never rejects and never throws: whatever the text is, what is wrong with it is a diagnostic. */
export async function compileConfig(text: string, options: CompileOptions = {}): Promise<CompileResult> {
  const source = new Source(options.file ?? ".circleci/config.yml", text);
  const reporter = new Reporter();
  const root = parse(source, reporter);
  const checked = root && checkConfig(root, reporter);
  if (!checked) return { diagnostics: inOrder(reporter), orbs: [], texts: new Map([[source.file, text]]) };
  const expanded = await expandConfig(checked, options, reporter);
  const compiled = compileWorkflows(expanded.workflows);
  if (expanded.setup) compiled.setup = true;
  lint(checked, reporter);
  const texts = new Map([source, ...expanded.sources].map((one) => [one.file, one.text]));
  return { diagnostics: inOrder(reporter), orbs: expanded.orbs, texts, ...(reporter.errors === 0 ? { compiled } : {}) };
}

function inOrder({ diagnostics }: Reporter): Diagnostic[] {
  return diagnostics.toSorted((a, b) => (a.file === b.file ? a.line - b.line || a.column - b.column : 0));
}
