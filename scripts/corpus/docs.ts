import { parse, stringify } from "yaml";
import { firstDifference, isMap, load } from "./compare.ts";
import { type Corpus, tell } from "./corpus.ts";

/** What a page prints is seldom a whole config: its shape says what is to be compared. */
export async function compareDocs(
  corpus: Corpus,
  { source, expected }: { source: string; expected: string },
): Promise<string | undefined> {
  const { config, errors } = await corpus.compile(source);
  if (errors.length > 0) return tell(errors);
  if (!isMap(config)) return "no config came out";
  const wanted = load(expected);
  if (!isMap(wanted)) return "the expected side is no map";
  if (wanted["job_names"]) return firstDifference(sorted(wanted["job_names"]), sorted(invocationNames(config)));
  if (wanted["steps"]) return firstDifference(longForm(wanted["steps"]), stepsOf(config, "build"));
  if (expected.startsWith("# Orb")) return firstDifference(wanted, config);
  if (wanted["jobs"])
    return firstDifference(longForm(wanted["jobs"]), withoutUnprinted(config["jobs"], wanted["jobs"]));
  return expected.includes("deploy_requires")
    ? compareRequires(wanted, config)
    : await compareWorkflows(corpus, { source, expected, config });
}

/** `run: x` stands for `run: {command: x}`, at any depth. */
function longForm(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(longForm);
  if (!isMap(value)) return value;
  const entries = Object.entries(value).map(([key, inner]) => [key, key === "run" ? longRun(inner) : longForm(inner)]);
  return Object.fromEntries(entries) as unknown;
}

function longRun(run: unknown): unknown {
  return typeof run === "string" ? { command: run } : run;
}

function stepsOf(config: Record<string, unknown>, job: string): unknown {
  const jobs = config["jobs"];
  return isMap(jobs) && isMap(jobs[job]) ? jobs[job]["steps"] : undefined;
}

/** A page that prints a job without its steps says nothing about them. */
function withoutUnprinted(actual: unknown, wanted: unknown): unknown {
  if (!isMap(actual) || !isMap(wanted)) return actual;
  const jobs = Object.entries(actual).map(([name, job]) => {
    const printed = wanted[name];
    const empty = isMap(printed) && Array.isArray(printed["steps"]) && printed["steps"].length === 0;
    return [name, empty && isMap(job) ? { ...job, steps: [] } : job];
  });
  return Object.fromEntries(jobs) as unknown;
}

function compareRequires(wanted: Record<string, unknown>, config: Record<string, unknown>): string | undefined {
  const expected = JSON.stringify(wanted["workflows"]).match(/\[.*\]/)?.[0] ?? "[]";
  const deploy = invocations(config).find(([name]) => name === "deploy")?.[1];
  return firstDifference(sorted(JSON.parse(expected)), sorted(isMap(deploy) ? deploy["requires"] : []));
}

/** The expected side is a workflow that is written out: both have to compile to the same. */
async function compareWorkflows(
  corpus: Corpus,
  { source, expected, config }: { source: string; expected: string; config: unknown },
): Promise<string | undefined> {
  const { workflows } = parse(expected) as { workflows: unknown };
  const whole = stringify({ ...(parse(source) as object), workflows }, { aliasDuplicateObjects: false });
  const other = await corpus.compile(whole);
  return other.errors.length > 0 ? tell(other.errors) : firstDifference(other.config, config);
}

function invocationNames(config: Record<string, unknown>): string[] {
  return invocations(config).map(([name]) => name);
}

function invocations(config: Record<string, unknown>): [string, unknown][] {
  const workflows = isMap(config["workflows"]) ? Object.values(config["workflows"]).filter(isMap) : [];
  return workflows
    .flatMap((workflow) => (Array.isArray(workflow["jobs"]) ? (workflow["jobs"] as unknown[]) : []))
    .map((one) => (isMap(one) ? (Object.entries(one)[0] ?? ["", undefined]) : [String(one), undefined]));
}

function sorted(names: unknown): unknown {
  return Array.isArray(names) ? names.map(String).sort() : names;
}
