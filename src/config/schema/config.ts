import type { Reporter } from "../diagnostics/reporter.ts";
import { get, type MapNode, type Node } from "../parse/node.ts";
import { parameters, pipelineParameters } from "./executor.ts";
import { command, executorDefinition, job } from "./job.ts";
import { anything, either, map, mapOf, type Shape, type Visit, wrongType } from "./shape.ts";
import { jobGroups, workflows } from "./workflow.ts";

export type Version = "2" | "2.1";

/** Checks the shape of a whole config; all findings at once. Undefined when there is nothing to go on with. */
export function checkConfig(root: Node, reporter: Reporter): { root: MapNode; version: Version } | undefined {
  const visit: Visit = { reporter, tolerant: false, key: "#", shadows: commandsOf(root) };
  if (root.kind !== "map") {
    if (root.kind !== "broken") {
      const hint = "It begins with `version: 2.1` and has `jobs:` and `workflows:`.";
      reporter.report({ code: "not-a-map", at: root, message: "A config is a map of keys to values.", hint });
    }
    return undefined;
  }
  const version = versionOf(root, reporter);
  if (version === undefined) return undefined;
  const errors = reporter.errors;
  const shape = version === "2" ? version2 : version21;
  shape(root, version === "2" ? { ...visit, tolerant: true } : visit);
  return reporter.errors > errors ? undefined : { root, version };
}

/** Checks an orb's text, or an inline orb. */
export function checkOrb(root: Node, reporter: Reporter, at = "#"): boolean {
  const errors = reporter.errors;
  const visit: Visit = { reporter, tolerant: false, key: at, shadows: commandsOf(root) };
  if (root.kind === "map") orb(root, visit);
  else wrongType(root, visit, "Mapping");
  return reporter.errors === errors;
}

function commandsOf(root: Node): ReadonlySet<string> {
  const commands = get(root, "commands");
  return new Set(commands?.kind === "map" ? commands.entries.keys() : []);
}

const definitions = {
  commands: either({ map: mapOf(command), null: anything }, "Mapping"),
  executors: either({ map: mapOf(executorDefinition), null: anything }, "Mapping"),
  jobs: either({ map: mapOf(job), null: anything }, "Mapping"),
};

const orb: Shape = map({ keys: { ...definitions, parameters }, others: "allowed" });

const version21: Shape = map({
  keys: {
    ...definitions,
    parameters: pipelineParameters,
    workflows,
    "job-groups": jobGroups,
    orbs: either({ map: anything, null: anything }, "Mapping"),
  },
  others: "allowed",
});

const version2: Shape = map({ keys: { jobs: definitions.jobs, workflows }, others: "allowed" });

function versionOf(root: MapNode, reporter: Reporter): Version | undefined {
  const node = get(root, "version");
  const written = node?.kind === "scalar" ? (node.text ?? String(node.value)) : undefined;
  if (written === "2.1") return "2.1";
  if (written === "2" || written === "2.0") return "2";
  const at = node ?? { source: root.source, start: root.start, end: root.start + 1 };
  const message = node
    ? `version ${written ?? "of this kind"} is not supported.`
    : "[#] required key [version] not found";
  reporter.report({ code: "unknown-version", at, message, hint: "Write `version: 2.1` at the top." });
  return undefined;
}
