import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";

/** YAML as plain data, in a form in which two compiled configs that mean the same are equal. */
export function load(text: string): unknown {
  return normalise(parse(text, { merge: true, uniqueKeys: false, logLevel: "silent" }));
}

/** Order of keys is nothing to deep equality; a job's `environment`, written as a list of one-key maps, becomes a map. */
function normalise(config: unknown): unknown {
  if (!isMap(config) || !isMap(config["jobs"])) return config;
  return { ...config, jobs: mapValues(config["jobs"], normaliseJob) };
}

/** Where two values differ first, as `path: expected …, got …`; undefined when they are equal. */
export function firstDifference(expected: unknown, actual: unknown, path = ""): string | undefined {
  if (isDeepStrictEqual(expected, actual)) return undefined;
  if (Array.isArray(expected) && Array.isArray(actual)) return differenceInList(expected, actual, path);
  if (isMap(expected) && isMap(actual)) {
    for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
      const difference = firstDifference(expected[key], actual[key], `${path}.${key}`);
      if (difference) return difference;
    }
  }
  return `${path || "."}: expected ${show(expected)}, got ${show(actual)}`;
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function normaliseJob(job: unknown): unknown {
  if (!isMap(job) || !Array.isArray(job["environment"])) return job;
  return { ...job, environment: Object.assign({}, ...(job["environment"] as object[])) as unknown };
}

function differenceInList(expected: unknown[], actual: unknown[], path: string): string {
  for (const [index, item] of expected.entries()) {
    const difference = firstDifference(item, actual[index], `${path}[${index}]`);
    if (difference) return difference;
  }
  return `${path}: expected ${expected.length} entries, got ${actual.length}: ${show(actual[expected.length])}`;
}

function mapValues(map: Record<string, unknown>, change: (value: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value)]));
}

function show(value: unknown): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}
