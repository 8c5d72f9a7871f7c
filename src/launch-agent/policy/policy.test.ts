import { expect, test } from "vitest";
import { aTask } from "../../../test/fakes/tasks.ts";
import type { ContainerSpec } from "../../protocol/task.ts";
import { type Policy, refusalOf } from "./policy.ts";

const { container } = aTask();

const beyond: [what: string, spec: Partial<ContainerSpec>, policy: Policy, told: string][] = [
  ["a privileged container", { privileged: true }, {}, "privileged container"],
  ["mounts", { mounts: ["/:/host"] }, {}, "mounts of the host"],
  ["a class", {}, { classes: ["ns/other"] }, "COFFERDAM_POLICY_CLASSES"],
  ["memory", {}, { memoryBytes: container.limits.memoryBytes - 1 }, "COFFERDAM_POLICY_MEMORY_BYTES"],
  ["cores", {}, { cpus: 0.5 }, "COFFERDAM_POLICY_CPUS"],
  ["isolation", {}, { isolation: "strict" }, "COFFERDAM_POLICY_ISOLATION"],
  ["a network", {}, { network: "none" }, "COFFERDAM_POLICY_NETWORK"],
];

test.each(beyond)("refuses %s beyond what the operator allows, and says by which setting", (_, spec, policy, told) => {
  expect(refusalOf({ ...container, ...spec }, "ns/class", policy)).toContain(told);
});

test("allows what a class may have where the operator says nothing, and whatever lies within what is said", () => {
  expect(refusalOf(container, "ns/class", {})).toBeUndefined();

  const { memoryBytes, cpus } = container.limits;
  const policy: Policy = { classes: ["ns/class"], memoryBytes, cpus, isolation: "strict", network: "none" };
  const spec: ContainerSpec = { ...container, isolation: "strict", network: { mode: "none", deny: [], audit: false } };
  expect(refusalOf({ ...spec, privileged: false, mounts: [] }, "ns/class", policy)).toBeUndefined();
});
