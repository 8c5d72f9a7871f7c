import { suggestion } from "../../lib/nearest.ts";
import type { Reporter } from "../diagnostics/reporter.ts";
import { type MapNode, type Node, plain, type Scalar } from "../parse/node.ts";
import { pipelineValues } from "../pipeline-values.ts";
import { checkDefault, type Parameter, parameterOf } from "./parameters.ts";
import type { Here } from "./pass.ts";

export interface Given {
  parameters: Readonly<Record<string, unknown>>;
  values: Readonly<Record<string, unknown>>;
}

/** All `pipeline.…` names with their values. Parameters are typed: what doesn't fit is told at their declaration. */
export function pipelineNames(declared: Node | undefined, given: Given, here: Here): Map<string, Scalar> {
  const names = new Map<string, Scalar>(pipelineValues);
  for (const [name, value] of Object.entries(given.values)) {
    names.set(name.startsWith("pipeline.") ? name : `pipeline.${name}`, scalar(value));
  }
  const parameters = declared?.kind === "map" ? declared : undefined;
  for (const [name, { key, value }] of parameters?.entries ?? []) {
    const parameter = parameterOf(name, value);
    checkDefault(parameter, here);
    const fallback = parameter.fallback ? plain(parameter.fallback) : "";
    const wanted = Object.hasOwn(given.parameters, name) ? given.parameters[name] : fallback;
    if (!fits(parameter, wanted) && Object.hasOwn(given.parameters, name)) {
      const message = `Type error for argument ${name}: expected type: ${parameter.type}, actual value: ${JSON.stringify(wanted)} (type ${kind(wanted)})`;
      const hint = parameter.values ? suggestion(String(wanted), parameter.values, "Possible are") : undefined;
      here.pass.reporter.report({ code: "argument-type", at: key, message, hint });
    }
    names.set(`pipeline.parameters.${name}`, scalar(wanted));
  }
  reportUnexpected(parameters, given, { here, reporter: here.pass.reporter, declared });
  return names;
}

function reportUnexpected(
  parameters: MapNode | undefined,
  given: Given,
  { here, reporter, declared }: { here: Here; reporter: Reporter; declared: Node | undefined },
): void {
  const unexpected = Object.keys(given.parameters).filter((name) => !parameters?.entries.has(name));
  const [first] = unexpected;
  if (first === undefined) return;
  const at = declared ?? [...here.scope.namespace.jobs.values()][0];
  const hint =
    suggestion(first, parameters?.entries.keys() ?? [], "Declared are") ??
    "Declare it under `parameters:` at the top of the config.";
  if (at)
    reporter.report({
      code: "unexpected-argument",
      at,
      message: `Unexpected argument(s): ${unexpected.join(", ")}`,
      hint,
    });
}

function scalar(value: unknown): Scalar {
  if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return value;
  return value === undefined ? null : JSON.stringify(value);
}

function fits({ type, values }: Parameter, value: unknown): boolean {
  switch (type) {
    case "boolean":
      return typeof value === "boolean";
    case "integer":
      return Number.isInteger(value);
    case "enum":
      return values?.includes(String(value)) ?? false;
    default:
      return typeof value === "string";
  }
}

function kind(value: unknown): string {
  return Number.isInteger(value) ? "integer" : value === null ? "null" : typeof value;
}
