import { evaluate, Pattern, unknownName } from "../../src/config/expression/index.ts";
import { firstDifference, isMap, load } from "./compare.ts";
import { type Compiled, type Corpus, type Outcome, tell } from "./corpus.ts";
import { compareDocs } from "./docs.ts";

/** One set of the corpus: its name, and what became of each of its cases. */
export const sets: Record<string, (corpus: Corpus) => Promise<Outcome[]>> = {
  configs: realConfigs,
  processed,
  "orb-tests": orbTests,
  docs,
  errors,
  lsp,
  expr,
};

/** Configs that ran: they compile, or else say which orb is not there, and nothing else. */
async function realConfigs(corpus: Corpus): Promise<Outcome[]> {
  const rows = await corpus.index("configs/index.tsv");
  const outcomes = await each(rows, "file", async (row) => {
    const { errors } = await corpus.compile(await corpus.read("configs", row["file"] ?? ""));
    return problemOf(errors.filter((one) => !missingOrb.has(one.code)));
  });
  return outcomes.map((outcome, index) => ({ ...outcome, excuse: excuseOf(rows[index]?.["path"] ?? "") }));
}

/** Beside a project's own config lie drafts, and parts that scripts put together: alone, CircleCI has seen none of them. */
function excuseOf(path: string): string | undefined {
  return /(^|\/)config\.ya?ml$/.test(path) ? undefined : `${path} is not the config of its project`;
}

const missingOrb = new Set<string>(["unknown-orb", "unknown-orb-version", "orb-unavailable"]);

/** Real output of CircleCI's compiler. What nobody could reproduce, for want of an orb, is no case. */
async function processed(corpus: Corpus): Promise<Outcome[]> {
  const rows = await corpus.index("oracle/processed/index.tsv");
  const verified = rows.filter((row) => row["status"]?.startsWith("verified"));
  return await each(verified, "case", async ({ case: name }) => {
    const output = await corpus.read("oracle/processed", `${name}.processed.yml`);
    const { config, errors } = await corpus.compile(
      await corpus.read("oracle/processed", `${name}.source.yml`),
      output,
    );
    return problemOf(errors) ?? firstDifference(load(output), config);
  });
}

async function orbTests(corpus: Corpus): Promise<Outcome[]> {
  return await each(await corpus.index("oracle/orb-tests/index.tsv"), "case", async ({ case: name, status }) => {
    const { config, errors } = await corpus.compile(await corpus.read("oracle/orb-tests", `${name}.source.yml`));
    if (status !== "verified") return errors.length > 0 ? undefined : "expected an error, got none";
    const expected = load(await corpus.read("oracle/orb-tests", `${name}.expected.yml`));
    return problemOf(errors) ?? firstDifference(withoutVersion(expected), withoutVersion(config));
  });
}

function withoutVersion(config: unknown): unknown {
  if (!isMap(config)) return config;
  const { version: _version, workflows, ...rest } = config;
  if (!isMap(workflows)) return rest;
  const { version: _workflowsVersion, ...named } = workflows;
  return { ...rest, workflows: named };
}

async function docs(corpus: Corpus): Promise<Outcome[]> {
  return await each(await corpus.index("oracle/docs/index.tsv"), "case", async ({ case: name }) => {
    const source = await corpus.read("oracle/docs", `${name}.source.yml`);
    const expected = await corpus.read("oracle/docs", `${name}.expected.yml`);
    return await compareDocs(corpus, { source, expected });
  });
}

/** Every line that CircleCI showed is shown, in its order. */
async function errors(corpus: Corpus): Promise<Outcome[]> {
  return await each(
    await corpus.index("oracle/errors/index.tsv"),
    "case",
    async ({ case: name, how_to_compare: how = "" }) => {
      const compiled = await corpus.compile(await corpus.read("oracle/errors", `${name}.yml`));
      if (how.startsWith("VALID")) return problemOf(compiled.errors);
      if (how.startsWith("INVALID")) return compiled.errors.length > 0 ? undefined : "expected an error, got none";
      return missingLine(await corpus.read("oracle/errors", `${name}.expected.txt`), compiled.rendered);
    },
  );
}

function missingLine(expected: string, rendered: string): string | undefined {
  const shown = rendered.split("\n");
  let from = 0;
  for (const line of expected.split("\n").filter((one) => one.trim() !== "")) {
    const at = shown.findIndex((one, index) => index >= from && one.includes(line));
    if (at === -1) return `expected the line ${JSON.stringify(line)}, got ${JSON.stringify(rendered.slice(0, 300))}`;
    from = at + 1;
  }
  return undefined;
}

/** What an editor says about a config: right ones compile, and of wrong ones something is said about what it names. */
async function lsp(corpus: Corpus): Promise<Outcome[]> {
  const texts = new Map<string, string>();
  const rows = await corpus.index("oracle/lsp/index.tsv");
  for (const { case: name = "" } of rows) texts.set(name, await corpus.read("oracle/lsp", `${name}.yml`));
  const decidable = rows.filter(
    (row) => isWholeConfig(texts.get(row["case"] ?? "") ?? "") && !needsImageRegistry.test(row["messages"] ?? ""),
  );
  return await each(decidable, "case", async ({ case: name = "", expects, messages = "" }) => {
    const compiled = await corpus.compile(texts.get(name) ?? "");
    if (expects === "valid") return problemOf(compiled.errors.filter((one) => !missingOrb.has(one.code)));
    return expects === "messages" ? missingFinding(messages, compiled) : undefined;
  });
}

/** The editor's tests are full of pieces of configs, and of texts that its parser takes for YAML and no other does. */
function isWholeConfig(text: string): boolean {
  return /^version:/m.test(text) && !/^\t/m.test(text);
}

/** Whether an image exists is the registry's to say, not the compiler's. */
const needsImageRegistry = /^Docker image (not found|".*" has no tag)/;

/** Of each message one name that it has in quotes has to be in a finding, or in the lines that a finding points to. */
function missingFinding(messages: string, { diagnostics, rendered }: Compiled): string | undefined {
  const telling = diagnostics.filter((one) => !one.code.startsWith("unused-") && one.code !== "nothing-to-run");
  if (telling.length === 0) return `expected a finding like ${JSON.stringify(messages.slice(0, 160))}, got none`;
  const missing = messages.split(" ⏐ ").find((message) => {
    const names = [...message.matchAll(/["`]([^"`]+)["`]/g)].map(([, name = ""]) => name);
    return names.length > 0 && !names.some((name) => rendered.includes(name));
  });
  return missing === undefined ? undefined : `expected a finding like ${JSON.stringify(missing)}, got ${tell(telling)}`;
}

interface ExpressionCase {
  group: string;
  expression: string;
  environment: Record<string, unknown>;
  value?: unknown;
  pattern?: string;
  error?: object;
}

async function expr(corpus: Corpus): Promise<Outcome[]> {
  const { cases } = JSON.parse(await corpus.read("oracle/expr/evaluator.json")) as { cases: ExpressionCase[] };
  return cases.map((one) => {
    const { environment } = one;
    const result = evaluate(one.expression, (name) =>
      Object.hasOwn(environment, name) ? environment[name] : unknownName,
    );
    const actual = result.ok ? plain(result.value) : { error: result.error };
    const expected = one.error ? { error: one.error } : "pattern" in one ? { pattern: one.pattern } : one.value;
    return { name: `${one.group}: ${one.expression.slice(0, 60)}`, problem: firstDifference(expected, actual) };
  });
}

function plain(value: unknown): unknown {
  return value instanceof Pattern ? { pattern: value.source } : (value ?? null);
}

async function each(
  rows: Record<string, string>[],
  nameKey: string,
  check: (row: Record<string, string>) => Promise<string | undefined>,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const row of rows) {
    const name = row[nameKey] ?? "";
    try {
      outcomes.push({ name, problem: await check(row) });
    } catch (error) {
      outcomes.push({ name, problem: `threw ${error instanceof Error ? error.stack?.slice(0, 400) : String(error)}` });
    }
  }
  return outcomes;
}

function problemOf(errors: Compiled["errors"]): string | undefined {
  return errors.length > 0 ? tell(errors) : undefined;
}
