import { suggestion } from "../../lib/nearest.ts";
import type { Place } from "../diagnostics/source.ts";
import {
  brokenNode,
  type ClosureNode,
  type Entry,
  get,
  isNull,
  isText,
  type Node,
  plain,
  type ScalarNode,
} from "../parse/node.ts";
import { enter, type Here, report, type Scope } from "./pass.ts";
import { resolve } from "./template/resolve.ts";

export interface Parameter {
  name: string;
  type: string;
  /** Undefined: an argument is required. Null as a default means the same. */
  fallback: Node | undefined;
  values: string[] | undefined;
}

const known = new WeakMap<Node, ReadonlyMap<string, Parameter>>();

/** The parameters that a job, command or executor declares, by name. */
export function parametersOf(definition: Node): ReadonlyMap<string, Parameter> {
  const cached = known.get(definition);
  if (cached) return cached;
  const declared = get(definition, "parameters");
  const parameters = new Map<string, Parameter>();
  for (const [name, { value }] of declared?.kind === "map" ? declared.entries : [])
    parameters.set(name, parameterOf(name, value));
  known.set(definition, parameters);
  return parameters;
}

export function parameterOf(name: string, node: Node): Parameter {
  const type = get(node, "type");
  const fallback = get(node, "default");
  const values = get(node, "enum");
  return {
    name,
    type: isText(type) ? type.value : "string",
    fallback: fallback === undefined || isNull(fallback) ? undefined : fallback,
    values: values?.kind === "list" ? values.items.map((item) => String(plain(item))) : undefined,
  };
}

export interface Call {
  definition: Node;
  /** The names that the definition was written among. */
  home: Scope;
  args: ReadonlyMap<string, Entry>;
  /** Where the call stands. */
  at: Place;
}

/**
 * The values of a definition's parameters for one call; undefined when the call is wrong, which is told. `caller` is
 * where the arguments were written, `here` the call itself (for the chain).
 */
export function bind(call: Call, caller: Here, here: Here): ReadonlyMap<string, Node> | undefined {
  const parameters = parametersOf(call.definition);
  const bound = new Map<string, Node>();
  const missing: string[] = [];
  let wrong = !allDeclared(call, parameters, here);
  for (const parameter of parameters.values()) {
    const entry = call.args.get(parameter.name);
    if (entry && !(isNull(entry.value) && parameter.fallback)) {
      const value = argument(parameter, entry.value, caller);
      if (!fits(parameter, value)) {
        wrong = true;
        report(here, { code: "argument-type", at: entry.value, ...mismatch(parameter, value) });
      }
      bound.set(parameter.name, value);
    } else if (parameter.fallback)
      bound.set(parameter.name, fallbackOf(parameter, parameter.fallback, { ...here, scope: call.home }));
    else missing.push(parameter.name);
  }
  if (missing.length > 0) {
    const hint = `Give ${missing.length === 1 ? "it" : "them"} here, or a default where ${missing.length === 1 ? "it is" : "they are"} declared.`;
    report(here, {
      code: "missing-argument",
      at: call.at,
      message: `Missing required argument(s): ${missing.join(", ")}`,
      hint,
    });
    wrong = true;
  }
  return wrong ? undefined : bound;
}

function allDeclared(call: Call, parameters: ReadonlyMap<string, Parameter>, here: Here): boolean {
  const unexpected: string[] = [];
  for (const name of call.args.keys()) if (!parameters.has(name)) unexpected.push(name);
  const [first] = unexpected;
  const at = first === undefined ? undefined : call.args.get(first)?.key;
  if (first === undefined || !at) return true;
  const message = `Unexpected argument(s): ${unexpected.join(", ")}`;
  const hint = suggestion(first, parameters.keys(), "Declared parameters are") ?? "It declares no parameters.";
  report(here, { code: "unexpected-argument", at, message, hint });
  return false;
}

/** A default sees what its definition sees, but no parameters. */
function fallbackOf(parameter: Parameter, fallback: Node, home: Here): Node {
  return closed(parameter, parameter.type === "steps" ? fallback : resolve(fallback, home), home.scope);
}

function argument(parameter: Parameter, node: Node, caller: Here): Node {
  // Steps stay as they are written until they are run: their names and templates are the caller's.
  if (parameter.type === "steps" && node.kind === "list") return closed(parameter, node, caller.scope);
  return closed(parameter, resolve(node, caller), caller.scope);
}

function closed(parameter: Parameter, node: Node, scope: Scope): Node {
  if (parameter.type !== "steps" && parameter.type !== "executor") return node;
  if (node.kind === "closure" || node.kind === "broken") return node;
  if (parameter.type === "steps" && node.kind !== "list") return node;
  const closure: ClosureNode = { ...brokenNode(node), kind: "closure", node, scope, size: node.size };
  return closure;
}

const environmentName = /^[A-Za-z_][A-Za-z0-9_]*$/;

function fits(parameter: Parameter, node: Node): boolean {
  if (node.kind === "broken") return true;
  if (parameter.type === "steps") return node.kind === "closure" && node.node.kind === "list";
  if (parameter.type === "executor") return node.kind === "closure" && (isText(node.node) || node.node.kind === "map");
  return node.kind === "scalar" && scalarFits(parameter, node);
}

function scalarFits({ type, values }: Parameter, { value, text }: ScalarNode): boolean {
  switch (type) {
    case "boolean":
      return typeof value === "boolean";
    case "integer":
      return Number.isInteger(value);
    case "enum":
      return value !== null && [String(value), text].some((one) => one !== undefined && values?.includes(one));
    case "env_var_name":
      return typeof value === "string" && environmentName.test(value);
    default:
      return typeof value === "string";
  }
}

function mismatch(parameter: Parameter, node: Node): { message: string; hint?: string | undefined } {
  const message = `Type error for argument ${parameter.name}: expected type: ${parameter.type}, actual value: ${shown(node)} (type ${typeOf(node)})`;
  return { message, hint: mismatchHint(parameter, node) };
}

function mismatchHint({ type, values }: Parameter, node: Node): string | undefined {
  if (type === "enum") return suggestion(String(plain(node)), values ?? [], "Possible are");
  if (type === "string" && node.kind === "scalar" && node.value !== null)
    return `Put it in quotes: "${node.text ?? String(node.value)}".`;
  if (type === "env_var_name") return "The name of an environment variable: letters, digits and _, no digit first.";
  if ((type === "integer" || type === "boolean") && isText(node)) return "Write it without quotes.";
  return type === "steps" ? "Write a list of steps." : undefined;
}

export function shown(node: Node): string {
  const text = JSON.stringify(plain(node)) ?? "null";
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

export function typeOf(node: Node): string {
  if (node.kind === "closure") return node.node.kind === "list" ? "steps" : "executor";
  if (node.kind === "list") return "sequence";
  if (node.kind !== "scalar") return "mapping";
  if (node.value === null) return "null";
  if (typeof node.value === "number") return Number.isInteger(node.value) ? "integer" : "number";
  return typeof node.value;
}

/** Definitions whose defaults don't fit their own type are wrong even when nobody uses them. */
export function checkDefaults(definition: Node, here: Here): void {
  for (const parameter of parametersOf(definition).values()) checkDefault(parameter, here);
}

export function checkDefault(parameter: Parameter, here: Here): void {
  const { name, type, fallback } = parameter;
  if (type === "enum" && !parameter.values) {
    const at = fallback;
    if (at)
      report(here, {
        code: "bad-parameter",
        at,
        message: `Parameter error: parameter '${name}' of type enum has no list of values`,
        hint: "List them under `enum:`.",
      });
    return;
  }
  if (!fallback || fallback.templated || fits(parameter, closed(parameter, fallback, here.scope))) return;
  const value = fallback.kind === "scalar" ? String(fallback.value) : shown(fallback);
  const message =
    type === "enum"
      ? `Parameter error: default value of parameter '${name}' is '${value}', which is not in enum '${parameter.values?.join(", ")}'`
      : `Parameter error: default value of parameter '${name}' is '${value}' (type ${typeOf(fallback)}): expected type ${type}`;
  report(here, { code: "bad-parameter", at: fallback, message, hint: mismatchHint(parameter, fallback) });
}

export function definitionFrame(here: Here, kind: string, name: string): Here {
  return enter(here, { kind: "definition", name: `${kind} '${name}'` });
}
