import { createHash } from "node:crypto";
import type { ContainerPlan } from "../../engine/engine.ts";

/**
 * All that decides what a container is: its plan but for who it is (name and labels). Two plans of one shape may stand in
 * for each other. Whatever is added to the plan is part of the shape by itself.
 */
export function shapeOf(plan: ContainerPlan): string {
  const { name: _name, labels: _labels, ...rest } = plan;
  return createHash("sha256")
    .update(JSON.stringify(inOrder(rest)))
    .digest("hex")
    .slice(0, 32);
}

/** The same value with the keys of every object in one order. What is undefined is not there. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, part]) => part !== undefined);
  return Object.fromEntries(
    entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, part]) => [key, inOrder(part)]),
  );
}
