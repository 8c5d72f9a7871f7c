import { get, isText, type Node } from "../parse/node.ts";
import { executorKeys, parallelism, parameters } from "./executor.ts";
import { anything, either, isOpen, map, matching, oneOf, type Shape, text, wrongType } from "./shape.ts";
import { steps } from "./steps.ts";

export const jobTypes = ["approval", "build", "no-op", "release", "lock", "unlock"] as const;

const executor = either({ scalar: text, map: anything }, "String|Mapping");

const retention = map({ keys: { caches: matching(/^([1-9]|[12][0-9]|30)d$/, "Write a number of days: 1d to 15d.") } });

const build = map({
  keys: {
    ...executorKeys,
    type: oneOf(jobTypes),
    description: anything,
    executor,
    steps,
    parameters,
    parallelism,
    branches: anything,
    retention,
    circleci_ip_ranges: anything,
    // Left over from 1.0 and seen in configs that run.
    context: anything,
    environments: anything,
  },
});

const typed: Readonly<Record<string, Shape>> = {
  release: map({ required: ["plan_name"], keys: {}, others: "allowed" }),
  lock: map({ required: ["key"], keys: {}, others: "allowed" }),
  unlock: map({ required: ["key"], keys: {}, others: "allowed" }),
  approval: map({ keys: {}, others: "allowed" }),
  "no-op": map({ keys: {}, others: "allowed" }),
};

/** A job as it is written. A job that is null is one that somebody left empty: an error only when it is run. */
export const job: Shape = (node, visit) => {
  if (isOpen(node)) return;
  if (node.kind === "scalar" && node.value === null) return;
  if (node.kind !== "map") return wrongType(node, visit, "Mapping");
  (typed[typeOf(node)] ?? build)(node, visit);
};

export function typeOf(job: Node): string {
  const type = get(job, "type");
  return isText(type) ? type.value : "build";
}

export const executorDefinition: Shape = map({ keys: { ...executorKeys, parameters, description: anything } });

const commandKeys = map({ required: ["steps"], keys: { steps, parameters, description: anything }, others: "ignored" });

/** A command that is null is one that somebody left empty: it does nothing. */
export const command: Shape = (node, visit) => {
  if (node.kind !== "scalar" || node.value !== null) commandKeys(node, visit);
};
