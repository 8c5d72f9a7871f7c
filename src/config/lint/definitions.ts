import { type Entry, get, type MapNode, type Node } from "../parse/node.ts";

/** What stands under a top-level key such as `jobs`: definitions by name. */
export function definitionsOf(root: Node, key: string): ReadonlyMap<string, Entry> {
  const node = get(root, key);
  return node?.kind === "map" ? node.entries : new Map();
}

/** The config, and the orbs that are written out in it, at any depth. */
export function withInlineOrbs(root: MapNode): MapNode[] {
  // A set may grow while it is walked: what is added is visited as well.
  const all = new Set([root]);
  for (const one of all) {
    for (const { value } of definitionsOf(one, "orbs").values()) if (value.kind === "map") all.add(value);
  }
  return [...all];
}

/** Everything that says where a job runs: jobs and executors, those of inline orbs too. */
export function placesOf(root: MapNode): MapNode[] {
  return withInlineOrbs(root)
    .flatMap((one) => [...definitionsOf(one, "jobs").values(), ...definitionsOf(one, "executors").values()])
    .map(({ value }) => value)
    .filter((value) => value.kind === "map");
}
