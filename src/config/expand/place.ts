import { type Entry, isNull, type MapNode, type Node, plain, setOwn } from "../parse/node.ts";
import { places } from "../schema/executor.ts";
import { headOf } from "../schema/shape.ts";
import { type Here, report } from "./pass.ts";

type Keys = ReadonlyMap<string, Entry>;

interface Placing {
  own: Keys;
  executor: Keys | undefined;
  /** Its executor is wrong, which is told already. */
  isUnknown: boolean;
  at: MapNode;
}

/** Where a job runs: docker, machine or macos. */
export interface Place {
  name: (typeof places)[number] | undefined;
  value: unknown;
  /** Of a machine: keys that CircleCI moves up to the job. */
  hoisted: Record<string, unknown>;
  /** The job says it itself. */
  isOwn: boolean;
}

/** Exactly one place; the job's own wins over its executor's. What is wrong is told. */
export function placeOf({ own, executor, isUnknown, at }: Placing, here: Here): Place {
  const ownPlaces = given(own);
  const isOwn = ownPlaces.length > 0;
  const keys = isOwn ? own : executor;
  const [name, second] = isOwn ? ownPlaces : given(executor);
  if (second !== undefined) {
    const message = `A job runs in one place, and here are two: ${name} and ${second}`;
    report(here, { code: "several-executors", at: keys?.get(second)?.key ?? at, message, hint: "Keep one of them." });
  } else if (name === undefined && !isUnknown) {
    const hint = "Add `docker: [{image: …}]`, `machine: true`, `macos:` or `executor:`.";
    report(here, { code: "no-executor", at: headOf(at), message: "The job does not say where it runs", hint });
  }
  const node = name === undefined ? undefined : keys?.get(name)?.value;
  const hoisted = {};
  return { name, isOwn, hoisted, value: name === "machine" ? machineOf(node, hoisted) : node && plain(node) };
}

function given(keys: Keys | undefined): (typeof places)[number][] {
  const found: (typeof places)[number][] = [];
  for (const name of keys ? places : []) {
    const node = keys?.get(name)?.value;
    if (node && !isNull(node)) found.push(name);
  }
  return found;
}

function machineOf(node: Node | undefined, hoisted: Record<string, unknown>): unknown {
  if (node?.kind !== "map")
    return node?.kind === "scalar" && typeof node.value === "string" ? { image: node.value } : true;
  const rest: Record<string, unknown> = {};
  for (const [key, { value }] of node.entries) {
    setOwn(key === "resource_class" || key === "shell" ? hoisted : rest, key, plain(value));
  }
  return Object.keys(rest).length > 0 ? rest : true;
}
