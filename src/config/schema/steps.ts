import { isText, type MapNode, type Node } from "../parse/node.ts";
import {
  anything,
  boolean,
  either,
  integer,
  isOpen,
  list,
  map,
  mapOf,
  matching,
  oneOf,
  type Shape,
  text,
  under,
  type Visit,
  violation,
  wrongType,
} from "./shape.ts";
import { checkoutRules, keyRules, rerunRules } from "./step-rules.ts";

const environmentValue: Shape = either({ scalar: anything, null: anything }, "String");
/** A map, or a list of one-entry maps or of `NAME=value`. */
export const environment: Shape = either(
  {
    map: mapOf(environmentValue),
    list: list(either({ scalar: text, map: mapOf(environmentValue) }, "Mapping")),
    scalar: matching(/^[A-Za-z_]\w*=/, "Write a map: `NAME: value`."),
    null: anything,
  },
  "Mapping",
);

export const textOrList: Shape = either({ scalar: text, list: list(text) }, "String");
const when = oneOf(["always", "on_success", "on_fail"]);
const duration = matching(/^\d[\d.]*\s*[a-z]*[\s\w.]*$/i, "Write a number and a unit: 30s, 20m or 1.25h.");

const run = map({
  required: ["command"],
  keys: {
    command: text,
    name: text,
    shell: textOrList,
    environment,
    background: boolean,
    working_directory: text,
    no_output_timeout: duration,
    when,
    max_auto_reruns: integer(),
    auto_rerun_delay: text,
  },
  others: "ignored",
});

const checkout = map({
  keys: { path: text, method: oneOf(["blobless", "full", "shallow"]), depth: integer(), name: text },
  others: "ignored",
});

/** Options of each built-in step. Unknown options are passed over, as CircleCI does; `when` stands in many. */
export const builtinSteps: ReadonlyMap<string, Shape> = new Map<string, Shape>([
  ["run", either({ scalar: text, map: rerunRules(run) }, "String|Mapping")],
  ["deploy", either({ scalar: text, map: run }, "String|Mapping")],
  ["checkout", either({ null: anything, map: checkoutRules(checkout) }, "Mapping")],
  [
    "setup_remote_docker",
    either(
      {
        null: anything,
        map: map({
          keys: { version: text, docker_layer_caching: boolean, prefer_same_region: anything, reusable: anything },
          others: "ignored",
        }),
      },
      "Mapping",
    ),
  ],
  [
    "save_cache",
    map({
      required: ["paths", "key"],
      keys: { key: text, paths: either({ list: list(text), scalar: text }, "Sequence"), name: text, when },
      others: "ignored",
    }),
  ],
  [
    "restore_cache",
    keyRules(
      map({
        keys: { key: text, keys: either({ list: list(text), scalar: text }, "Sequence"), name: text, when },
        others: "ignored",
      }),
    ),
  ],
  [
    "store_artifacts",
    map({ required: ["path"], keys: { path: text, destination: text, name: text, when }, others: "ignored" }),
  ],
  ["store_test_results", map({ required: ["path"], keys: { path: text, name: text, when }, others: "ignored" })],
  [
    "persist_to_workspace",
    map({
      required: ["root", "paths"],
      keys: { root: text, paths: either({ list: list(text), scalar: text }, "Sequence"), name: text, when },
      others: "ignored",
    }),
  ],
  ["attach_workspace", map({ required: ["at"], keys: { at: text, name: text, when }, others: "ignored" })],
  [
    "add_ssh_keys",
    either(
      {
        null: anything,
        map: map({
          keys: { fingerprints: either({ list: list(text), scalar: text }, "Sequence"), name: text, when },
          others: "ignored",
        }),
      },
      "Mapping",
    ),
  ],
  ["install_signing_bundle", either({ null: anything, map: map({ keys: {}, others: "ignored" }) }, "Mapping")],
]);

/** Those that may stand as a bare name. */
export const bareSteps: ReadonlySet<string> = new Set([
  "checkout",
  "setup_remote_docker",
  "add_ssh_keys",
  "install_signing_bundle",
]);

/** Steps as they are written: what a custom command's arguments mean is seen when it is called. */
export const steps: Shape = (node, visit) => {
  if (isOpen(node)) return;
  // Some published orbs have one step where a list should be.
  if (node.kind === "map") return checkStep(node, visit);
  if (node.kind !== "list") return wrongType(node, visit, "Sequence");
  for (const [index, step] of node.items.entries()) checkStep(step, under(visit, index));
};

const conditional = map({ required: ["condition", "steps"], keys: { condition: anything, steps, name: anything } });

function checkStep(node: Node, visit: Visit): void {
  if (isOpen(node) || isText(node)) return;
  if (node.kind === "list") return steps(node, visit);
  if (node.kind !== "map") return wrongType(node, visit, "String|Mapping");
  const [first] = node.entries;
  if (!first) return violation(visit, { code: "bad-step", at: node, text: "minimum size: [1], found: [0]" });
  if (node.entries.size > 1 && !checkKeys(node, visit)) return;
  const [name, { value }] = first;
  if (name === "when" || name === "unless") conditional(value, under(visit, name));
  else if (name === "steps") steps(value, under(visit, name));
  else if (!visit.shadows.has(name)) builtinSteps.get(name)?.(value, under(visit, name));
}

/** A step is a map of one key. Orb commands with their arguments a level too high are tolerated by CircleCI. */
function checkKeys(node: MapNode, visit: Visit): boolean {
  const [first = "", second = ""] = node.entries.keys();
  const known = builtinSteps.has(first) || first === "when" || first === "unless" || first === "steps";
  const isOrbCommand = first.includes("/");
  const stray = known || isOrbCommand ? second : first;
  violation(visit, {
    code: isOrbCommand ? "unknown-key-ignored" : "bad-step",
    at: node.entries.get(stray)?.key ?? node,
    text: `extraneous key [${stray}] is not permitted\nmaximum size: [1], found: [${node.entries.size}]`,
    hint:
      known || isOrbCommand
        ? `Indent "${stray}" deeper than "${first}": it is one of its options.`
        : `A step is one name with its options below: \`- run: {name: …, command: …}\`.`,
  });
  return isOrbCommand;
}
