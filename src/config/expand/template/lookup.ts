import { suggestion } from "../../../lib/nearest.ts";
import type { Place } from "../../diagnostics/source.ts";
import { brokenNode, type Node, plain, scalarNode } from "../../parse/node.ts";
import { type Here, report } from "../pass.ts";

/** The value of a name such as `parameters.x`, or undefined when there is none. */
export function lookup(name: string, here: Here, at: Place): Node | undefined {
  const { scope, pass } = here;
  if (name.startsWith("parameters.")) return scope.parameters?.get(name.slice(11));
  if (name.startsWith("matrix.")) return scope.matrix?.get(name.slice(7))?.value;
  if (!pass.pipeline.has(name)) return isOpenEnded(name) ? scalarNode("", at) : undefined;
  // An orb does not know the project that uses it.
  if (scope.namespace.kind === "orb" && name.startsWith("pipeline.parameters.")) return undefined;
  return scalarNode(pass.pipeline.get(name) ?? "", at);
}

/** What a trigger or an event brings along has no fixed list of names: what is not there is empty. */
function isOpenEnded(name: string): boolean {
  return name.startsWith("pipeline.trigger_parameters.") || name.startsWith("pipeline.event.");
}

/** The same as plain data, for expressions: null where a name is known and has no value now. */
export function lookupValue(name: string, here: Here, at: Place): unknown {
  if (name.startsWith("pipeline.") && (here.pass.pipeline.get(name) ?? null) === null) {
    if (here.pass.pipeline.has(name) || isOpenEnded(name)) return null;
  }
  const node = lookup(name, here, at);
  return node === undefined ? undefined : plain(node);
}

/** Tells about a name that means nothing here, in CircleCI's words. */
export function unknownName(name: string, here: Here, at: Place): Node {
  const parameters = here.scope.parameters;
  if (name.startsWith("parameters.")) {
    const names = [...(parameters?.keys() ?? [])].map((key) => `parameters.${key}`);
    const hint =
      suggestion(name, names, "Declared are") ??
      "Declare it under `parameters:` of the job, command or executor that uses it.";
    report(here, {
      code: "undeclared-parameter",
      at,
      message: `Arguments referenced without declared parameters: ${name}`,
      hint,
    });
  } else {
    const message = `Referred to a variable "${name}" that does not exist:\n<< ${name} >>\n ${"^".repeat(name.length)}`;
    report(here, { code: "unknown-variable", at, message, hint: variableHint(name, here) });
  }
  return brokenNode(at);
}

function variableHint(name: string, here: Here): string | undefined {
  if (here.scope.namespace.kind === "orb" && name.startsWith("pipeline.parameters.")) {
    return "Orbs don't see pipeline parameters: give the orb a parameter, and pass the value.";
  }
  const names = [...here.pass.pipeline.keys()];
  const matrix = [...(here.scope.matrix?.keys() ?? [])].map((key) => `matrix.${key}`);
  const like = names.filter((known) => known.startsWith(name.slice(0, 9)));
  return suggestion(name, [...matrix, ...(like.length > 0 ? like : names)], "Known are");
}
