import type { z } from "zod";
import { type Field, GraphqlError, type Input, type Operation } from "./document.ts";
import { parseDocument } from "./parse.ts";

/** What can be asked for: an object's fields, each a value, or a function of its arguments that is called when it is asked for. */
export interface Fields {
  [name: string]: Value | Resolver;
}
export type Value = string | number | boolean | null | Value[] | Fields;
export type Resolver = (args: Record<string, unknown>) => Value | Promise<Value>;

/** A field with arguments, which are checked. */
export function field<S extends z.ZodType>(
  schema: S,
  resolve: (args: z.output<S>) => Value | Promise<Value>,
): Resolver {
  return (args) => {
    const parsed = schema.safeParse(args);
    if (parsed.success) return resolve(parsed.data);
    throw new GraphqlError(parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; "));
  };
}

export interface GraphqlRequest {
  query: string;
  variables: Record<string, unknown>;
}

export type GraphqlResponse = { data: unknown } | { data: null; errors: { message: string }[] };

/** Characters of one answer: lists in lists of long texts would make it endless. */
const maxAnswerCharacters = 16 * 1024 * 1024;

/** Answers a request; what is wrong with it is in the answer. Rejects only when a field does, with another error than GraphqlError. */
export async function executeGraphql(
  roots: Record<Operation["type"], Fields>,
  { query, variables }: GraphqlRequest,
): Promise<GraphqlResponse> {
  try {
    const operation = parseDocument(query);
    const run: Run = { values: variableValues(operation, variables), left: maxAnswerCharacters };
    return { data: await selected(roots[operation.type], operation.fields, run) };
  } catch (error) {
    if (error instanceof GraphqlError) return { data: null, errors: [{ message: error.message }] };
    throw error;
  }
}

interface Run {
  values: Map<string, unknown>;
  left: number;
}

function variableValues({ variables }: Operation, given: Record<string, unknown>): Map<string, unknown> {
  const values = new Map<string, unknown>();
  for (const [name, { required, fallback }] of variables) {
    const value = Object.hasOwn(given, name) ? given[name] : fallback && valueOf(fallback, new Map());
    if (required && (value === undefined || value === null)) throw new GraphqlError(`the variable $${name} is missing`);
    values.set(name, value);
  }
  return values;
}

/** One after the other, as mutations have to be. */
async function selected(source: Fields, fields: readonly Field[], run: Run): Promise<unknown> {
  const answer: [string, unknown][] = [];
  for (const one of fields) {
    const found = Object.hasOwn(source, one.name) ? source[one.name] : undefined;
    if (found === undefined) throw new GraphqlError(`there is no field "${one.name}" here`);
    const value = typeof found === "function" ? await found(argumentsOf(one, run)) : found;
    answer.push([one.alias, await complete(value, one, run)]);
  }
  return Object.fromEntries(answer);
}

async function complete(value: Value | Resolver, one: Field, run: Run): Promise<unknown> {
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    for (const item of value) items.push(await complete(item, one, run));
    return items;
  }
  if (value === null) return null;
  if (typeof value === "object") {
    if (!one.fields) throw new GraphqlError(`say which fields of "${one.name}" are asked for`);
    return await selected(value, one.fields, run);
  }
  if (one.fields) throw new GraphqlError(`"${one.name}" has no fields`);
  run.left -= typeof value === "string" ? value.length : 8;
  if (run.left < 0) throw new GraphqlError("the answer would be too long: ask for less at once");
  return value;
}

function argumentsOf({ args }: Field, { values }: Run): Record<string, unknown> {
  const given = [...args].map(([name, value]) => [name, valueOf(value, values)] as const);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

function valueOf(input: Input, values: ReadonlyMap<string, unknown>): unknown {
  switch (input.kind) {
    case "value":
      return input.value;
    case "list":
      return input.items.map((item) => valueOf(item, values));
    case "variable":
      if (!values.has(input.name)) throw new GraphqlError(`the variable $${input.name} is not declared`);
      return values.get(input.name);
    default:
      return input satisfies never;
  }
}
