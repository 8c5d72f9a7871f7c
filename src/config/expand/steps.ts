import type { CompiledStep } from "../compiled.ts";
import { limits } from "../parse/limits.ts";
import { type Entry, get, isNull, isText, type MapNode, type Node, plain, setOwn } from "../parse/node.ts";
import { bareSteps, builtinSteps } from "../schema/steps.ts";
import { isTrue } from "./logic.ts";
import { find, notFound } from "./names.ts";
import { bind } from "./parameters.ts";
import { enter, type Here, report, type Scope, spend, type Within } from "./pass.ts";
import { fill, isTextual } from "./template/fill.ts";
import { resolve } from "./template/resolve.ts";

/** Steps as they run: commands opened, conditions decided, templates filled in. */
export function expandSteps(node: Node | undefined, here: Here, out: CompiledStep[]): void {
  if (!node || node.kind === "broken" || isNull(node)) return;
  if (node.kind === "closure") return expandSteps(node.node, { ...here, scope: node.scope as Scope }, out);
  if (node.kind === "scalar") return expandSteps(stepsOf(node, here), here, out);
  const inside = { ...here, level: (here.level ?? 0) + 1 };
  if (inside.level > limits.steps) return tooDeep(here, node, `Steps nest more than ${limits.steps} deep`);
  for (const item of node.kind === "list" ? node.items : [node]) {
    if (!spend(here, 1, item)) return;
    expandStep(item, inside, out);
  }
}

function tooDeep(here: Here, at: Node, message: string): void {
  report(here, { code: "too-deep", at, message, hint: "Commands that call commands add to it." });
}

/** `steps: << parameters.x >>`; anything but steps there is a mistake. */
function stepsOf(node: Node, here: Here): Node | undefined {
  const resolved = resolve(node, here);
  if (resolved.kind === "closure" || resolved.kind === "broken" || resolved.kind === "list") return resolved;
  wrongStep(here, node, "expected type: Sequence, found: String");
  return undefined;
}

function wrongStep(here: Here, at: Node, message: string): void {
  report(here, {
    code: "bad-step",
    at,
    message,
    hint: "Steps are a list; each is a name, or a map of one name to its options.",
  });
}

function expandStep(node: Node, here: Here, out: CompiledStep[]): void {
  if (node.kind === "scalar") {
    const resolved = resolve(node, here);
    if (resolved.kind === "closure") expandSteps(resolved, here, out);
    else if (isText(resolved)) namedStep({ name: resolved.value, at: node, value: undefined }, here, out);
    else if (resolved.kind !== "broken") wrongStep(here, node, "A step is a name or a map.");
  } else if (node.kind === "list" || node.kind === "closure") expandSteps(node, here, out);
  else if (node.kind === "map") mapStep(node, here, out);
}

interface Step {
  name: string;
  /** Where the name stands. */
  at: Node;
  /** Undefined: the step is a bare name. */
  value: Node | undefined;
}

function mapStep(node: MapNode, here: Here, out: CompiledStep[]): void {
  const [entry] = node.entries.values();
  if (!entry) return wrongStep(here, node, "A step is not empty.");
  const { key, value } = entry;
  const name = key.templated ? resolve(key, here) : key;
  if (!isText(name)) {
    if (name.kind !== "broken") wrongStep(here, key, "A step's name is a text.");
    return;
  }
  if (here.scope.namespace.commands.has(name.value)) return namedStep({ name: name.value, at: key, value }, here, out);
  if (name.value === "when" || name.value === "unless")
    conditionalSteps({ entry, unless: name.value === "unless" }, here, out);
  else if (name.value === "steps") expandSteps(value, here, out);
  else namedStep({ name: name.value, at: key, value }, here, out);
}

function conditionalSteps({ entry, unless }: { entry: Entry; unless: boolean }, here: Here, out: CompiledStep[]): void {
  const condition = get(entry.value, "condition");
  const steps = get(entry.value, "steps");
  if (!condition || !steps) {
    if (entry.value.kind !== "broken")
      wrongStep(here, entry.key, `\`${String(entry.key.value)}\` needs a condition and steps.`);
    return;
  }
  const resolved = resolve(condition, here);
  if (resolved.kind !== "broken" && isTrue(resolved, here) !== unless) expandSteps(steps, here, out);
}

/** A command of this place wins over a built-in step of the same name. */
function namedStep(step: Step, here: Here, out: CompiledStep[]): void {
  const builtin = builtinSteps.get(step.name);
  const found = builtin && !here.scope.namespace.commands.has(step.name) ? undefined : find("command", step.name, here);
  if (found === "missing-orb") return;
  if (found) callCommand(step, found, here, out);
  else if (builtin) builtinStep(step, here, out);
  else notFound("command", step.name, here, step.at);
}

function callCommand(
  step: Step,
  found: { definition: Node; namespace: Scope["namespace"] },
  here: Here,
  out: CompiledStep[],
): void {
  const { definition, namespace } = found;
  const home: Scope = { namespace };
  const inside = enter(here, { kind: "command", name: step.name }, home);
  if (isWithin(here.scope.within, definition)) {
    const hint = "A command can't call itself, not through others either.";
    return report(inside, { code: "recursion", at: step.at, message: `The command '${step.name}' calls itself`, hint });
  }
  if ((inside.frame?.depth ?? 0) > limits.calls) {
    return tooDeep(inside, step.at, `Commands call one another more than ${limits.calls} deep`);
  }
  if (!spend(here, callCost, step.at)) return;
  const args = argumentsOf(step, inside);
  const parameters = args && bind({ definition, home, args, at: step.at }, here, inside);
  if (!parameters) return;
  const steps = definition.kind === "map" ? definition.entries.get("steps")?.value : undefined;
  expandSteps(
    steps,
    { ...inside, scope: { namespace, parameters, within: { command: definition, parent: here.scope.within } } },
    out,
  );
}

const callCost = 8;

function isWithin(within: Within | undefined, command: Node): boolean {
  for (let at = within; at; at = at.parent) if (at.command === command) return true;
  return false;
}

const noArguments: ReadonlyMap<string, Entry> = new Map();
const none: ReadonlySet<string> = new Set();

function argumentsOf(step: Step, here: Here): ReadonlyMap<string, Entry> | undefined {
  const { value } = step;
  if (!value || isNull(value) || value.kind === "broken") return noArguments;
  if (value.kind === "map") return value.entries;
  if (value.kind === "scalar" && value.value === "") return noArguments;
  const hint = `Write \`${step.name}: {parameter: value}\`, or the name alone.`;
  report(here, { code: "argument-type", at: value, message: `The arguments of ${step.name} have to be a map`, hint });
  return undefined;
}

function builtinStep({ name, at, value }: Step, here: Here, out: CompiledStep[]): void {
  if (!value || isNull(value)) {
    if (bareSteps.has(name)) out.push(name);
    else wrongStep(here, at, `The step ${name} needs options.`);
    return;
  }
  if (!spend(here, value.size, value)) return;
  const options = isTextual(value, here) ? textualOptions(name, value, here) : checkedOptions(name, value, here);
  if (options === undefined) return;
  const step: Record<string, unknown> = {};
  const isShort = (name === "run" || name === "deploy") && (typeof options !== "object" || options === null);
  setOwn(step, name, isShort ? { command: options } : options);
  out.push(step);
}

/** As written they are right or wrong, whatever the templates make: looked at once. */
function textualOptions(name: string, value: Node, here: Here): unknown {
  const { checkedSteps, reporter } = here.pass;
  let checked = checkedSteps.get(name);
  if (!checked) checkedSteps.set(name, (checked = new Map()));
  let isRight = checked.get(value);
  if (isRight === undefined) {
    const errors = reporter.errors;
    builtinSteps.get(name)?.(value, { reporter, tolerant: false, key: name, shadows: none });
    isRight = reporter.errors === errors;
    checked.set(value, isRight);
  }
  return isRight ? fill(value, here) : undefined;
}

/** What a template made of the options is checked as if it had been written so. */
function checkedOptions(name: string, value: Node, here: Here): unknown {
  const resolved = resolve(value, here);
  if (resolved.kind === "broken" || !spend(here, resolved.size, value)) return undefined;
  const { reporter } = here.pass;
  const errors = reporter.errors;
  builtinSteps.get(name)?.(resolved, { reporter, tolerant: false, key: name, shadows: none });
  return reporter.errors > errors ? undefined : plain(resolved);
}
