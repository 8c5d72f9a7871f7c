import { isText } from "../parse/node.ts";
import {
  anything,
  either,
  isOpen,
  list,
  map,
  mapOf,
  type Shape,
  text,
  under,
  type Visit,
  violation,
  wrongType,
} from "./shape.ts";

const invocation: Shape = (node, visit) => {
  if (isOpen(node) || isText(node)) return;
  if (node.kind !== "map") return wrongType(node, visit, "String|Mapping");
  const [first, second] = node.entries.values();
  if (!first) return violation(visit, { code: "missing-key", at: node, text: "minimum size: [1], found: [0]" });
  if (second) {
    const hint = `Indent what belongs to "${String(first.key.value)}" deeper than it.`;
    violation(visit, {
      code: "unknown-key-ignored",
      at: second.key,
      text: `extraneous key [${String(second.key.value)}] is not permitted`,
      hint,
    });
  }
  either({ map: anything, null: anything }, "Mapping")(first.value, under(visit, String(first.key.value)));
};

export const jobList: Shape = either({ list: list(invocation) }, "Sequence");

const reruns: Shape = (node, visit) => {
  if (isOpen(node)) return;
  const value = node.kind === "scalar" ? node.value : undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1) tell("Must be greater than or equal to 1");
  else if (value > 5) tell("Must be less than or equal to 5");

  function tell(text: string): void {
    violation(visit, { code: "wrong-value", at: node, text });
  }
};

const workflow = map({
  required: ["jobs"],
  keys: {
    jobs: jobList,
    when: anything,
    unless: anything,
    triggers: list(anything),
    max_auto_reruns: reruns,
    version: anything,
    description: anything,
  },
  others: "ignored",
});

/** `version` stands among the workflows. */
export const workflows: Shape = (node, visit) => {
  if (isOpen(node) || (node.kind === "scalar" && node.value === null)) return;
  if (node.kind !== "map") return wrongType(node, visit, "Mapping");
  for (const [name, { value }] of node.entries) {
    if (name === "version" && value.kind === "scalar") continue;
    workflow(value, under(visit, name));
    exclusive(value, under(visit, name));
  }
};

const exclusive: Shape = (node, visit: Visit) => {
  if (node.kind !== "map" || !node.entries.has("when") || !node.entries.has("unless")) return;
  const at = node.entries.get("unless")?.key ?? node;
  violation(visit, {
    code: "bad-condition",
    at,
    text: "when and unless cannot stand together",
    hint: "Write `unless: x` as `not: x` inside of `when`.",
  });
};

export const jobGroups: Shape = either(
  {
    map: mapOf(
      map({
        required: ["jobs"],
        keys: { jobs: jobList, "serial-group": text, description: anything },
        others: "ignored",
      }),
    ),
    null: anything,
  },
  "Mapping",
);
