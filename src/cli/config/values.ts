import { parse } from "yaml";
import { CommandError, exitCode, type Io } from "../io.ts";
import { readInput } from "./input.ts";

/** Values as they were given on a command line: typed where they come from YAML or JSON, text where from `name=value`. */
export interface GivenValues {
  typed: Record<string, unknown>;
  text: Record<string, string>;
}

/** Each given is `name=value`, a file of YAML or JSON, or a map written right here (`{a: 1}`). Later ones win. */
export async function readValues(io: Io, given: readonly string[] = []): Promise<GivenValues> {
  const values: GivenValues = { typed: {}, text: {} };
  for (const one of given) {
    const [, name, value] = /^([^\s={}:/]+)=(.*)$/s.exec(one) ?? [];
    if (name !== undefined && value !== undefined) {
      values.text[name] = value;
      delete values.typed[name];
      continue;
    }
    const inline = /^\s*\{|\n|: /.test(one);
    const map = parseMap(inline ? one : await readInput(io, one), inline ? "the map" : one);
    Object.assign(values.typed, map);
    for (const key of Object.keys(map)) delete values.text[key];
  }
  return values;
}

/** Gives `name=value` the type that the config declares: `-p count=3` is a number where the parameter is an integer. */
export function typedParameters({ typed, text }: GivenValues, configText: string): Record<string, unknown> {
  const types = declaredTypes(configText);
  const converted = Object.entries(text).map(([name, value]) => [name, convert(value, types.get(name))]);
  return { ...typed, ...(Object.fromEntries(converted) as Record<string, unknown>) };
}

/** Pipeline values have no declarations here: what looks like a number, a boolean or null is one. */
export function typedValues({ typed, text }: GivenValues): Record<string, unknown> {
  const converted = Object.entries(text).map(([name, value]) => [name, looksLike(value)]);
  return { ...typed, ...(Object.fromEntries(converted) as Record<string, unknown>) };
}

/** One flat map by full name, from a map that may be nested: `{pipeline: {git: {branch: x}}}` is `pipeline.git.branch`. */
export function flatten(map: Record<string, unknown>, prefix = ""): Record<string, unknown> {
  const flat: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(map)) {
    if (isMap(value)) Object.assign(flat, flatten(value, `${prefix}${key}.`));
    else flat[prefix + key] = value;
  }
  return flat;
}

function parseMap(text: string, what: string): Record<string, unknown> {
  const parsed = parseSafely(text);
  if (isMap(parsed)) return parsed;
  throw new CommandError(`${what} is no map of names to values, in YAML or JSON`, { exitCode: exitCode.usage });
}

/** Undefined for what can't be read: whoever reads it next says what is wrong with it. */
function parseSafely(text: string): unknown {
  try {
    // JSON is YAML in all but a few odd places, such as tabs.
    return JSON.parse(text);
  } catch {
    return parseYaml(text);
  }
}

function parseYaml(text: string): unknown {
  try {
    return parse(text, { merge: true, logLevel: "error" }) as unknown;
  } catch {
    return undefined;
  }
}

function declaredTypes(configText: string): Map<string, unknown> {
  const config = parseSafely(configText);
  const parameters = isMap(config) && isMap(config["parameters"]) ? config["parameters"] : {};
  return new Map(
    Object.entries(parameters).map(([name, parameter]) => [name, isMap(parameter) ? parameter["type"] : undefined]),
  );
}

/** A text that is nothing of its type stays text: the compiler then says what is wrong with it. */
function convert(value: string, type: unknown): unknown {
  if (type === "integer" && integer.test(value)) return Number(value);
  if (type === "boolean" && (value === "true" || value === "false")) return value === "true";
  return value;
}

function looksLike(value: string): unknown {
  if (value === "true" || value === "false") return value === "true";
  if (value === "null") return null;
  return integer.test(value) ? Number(value) : value;
}

const integer = /^-?\d{1,15}$/;

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
