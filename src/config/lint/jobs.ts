import type { Reporter } from "../diagnostics/reporter.ts";
import { get, isNull, isText, type MapNode, type Node } from "../parse/node.ts";
import { typeOf } from "../schema/job.ts";
import { definitionsOf, placesOf, withInlineOrbs } from "./definitions.ts";

/** Jobs, executors and steps that do something else than they seem to. */
export function lintJobs(root: MapNode, reporter: Reporter): void {
  lintSections(root, reporter);
  for (const place of placesOf(root)) lintPlace(place, reporter);
  for (const one of withInlineOrbs(root)) {
    const commands = definitionsOf(one, "commands");
    for (const { value } of definitionsOf(one, "jobs").values()) lintJob(value, reporter);
    // A command of that name is what the step means then.
    if (commands.has("deploy")) continue;
    for (const { value } of [...definitionsOf(one, "jobs").values(), ...commands.values()]) {
      lintSteps(get(value, "steps"), reporter);
    }
  }
}

function lintSections(root: MapNode, reporter: Reporter): void {
  for (const section of ["orbs", "commands", "executors", "parameters"]) {
    const entry = root.entries.get(section);
    if (entry && isNull(entry.value)) tellEmpty(section, entry.key, reporter);
  }
  for (const { value } of definitionsOf(root, "workflows").values()) {
    const jobs = value.kind === "map" ? value.entries.get("jobs") : undefined;
    if (jobs?.value.kind === "list" && jobs.value.items.length === 0) tellEmpty("jobs", jobs.key, reporter);
  }
}

function tellEmpty(section: string, at: Node, reporter: Reporter): void {
  const hint = "Take it out, or put in what belongs to it.";
  reporter.report({ code: "empty-section", at, message: `\`${section}:\` is empty.`, hint });
}

/** Names that an invocation uses itself, so that no argument of the job can have them. */
const reserved = new Set(["name", "requires", "context", "type", "filters", "matrix", "pre-steps", "post-steps"]);

function lintJob(job: Node, reporter: Reporter): void {
  for (const [name, { key }] of definitionsOf(job, "parameters")) {
    if (!reserved.has(name)) continue;
    const message = `The parameter "${name}" can be given no value: in a workflow, \`${name}:\` means something else.`;
    reporter.report({ code: "reserved-parameter", at: key, message, hint: "Give the parameter another name." });
  }
  const steps = job.kind === "map" ? job.entries.get("steps") : undefined;
  if (steps && typeOf(job) !== "build") {
    const message = "Steps only exist in `build` jobs. Steps here will be ignored.";
    reporter.report({
      code: "ignored-steps",
      at: steps.key,
      message,
      hint: `Take them out, or the type ${typeOf(job)}.`,
    });
  }
  lintRetention(get(get(job, "retention"), "caches"), reporter);
  const parallelism = get(job, "parallelism");
  if (parallelism?.kind === "scalar" && (parallelism.value === 1 || parallelism.value === 0)) {
    const message = "To benefit from parallelism, you should select a value greater than 1.";
    reporter.report({
      code: "pointless-parallelism",
      at: parallelism,
      message,
      hint: "Without it a job is one task as well.",
    });
  }
}

function lintRetention(caches: Node | undefined, reporter: Reporter): void {
  const days = isText(caches) ? Number(/^(\d+)d$/.exec(caches.value)?.[1] ?? 0) : 0;
  if (!caches || days <= 15) return;
  const message = "Retention caches duration must be between 1d and 15d";
  reporter.report({ code: "long-retention", at: caches, message, hint: "Write 15d for the longest there is." });
}

function lintPlace(place: MapNode, reporter: Reporter): void {
  const macos = place.entries.get("macos");
  const resourceClass = get(place, "resource_class");
  if (macos && !isNull(macos.value)) {
    const at = get(macos.value, "xcode") ?? macos.key;
    reporter.report({ code: "unsupported-platform", at, message: "Jobs on macOS can't be run here.", hint: linuxOnly });
  } else if (isText(resourceClass) && /^(windows|macos|m\d)\b.*\./.test(resourceClass.value)) {
    const message = `Jobs of the resource class ${resourceClass.value} can't be run here.`;
    reporter.report({ code: "unsupported-platform", at: resourceClass, message, hint: linuxOnly });
  }
  const image = get(get(place, "machine"), "image");
  if (image && isText(resourceClass) && /^[\w-]+\/[\w.-]+$/.test(resourceClass.value)) {
    const message = `Extraneous image for the self-hosted runner ${resourceClass.value}`;
    const hint = "The resource class decides what a machine is: write `machine: true`.";
    reporter.report({ code: "superfluous-image", at: image, message, hint });
  }
}

const linuxOnly = "Tasks run in Linux containers. Such a job waits for an agent that there is not.";

function lintSteps(steps: Node | undefined, reporter: Reporter): void {
  for (const step of steps?.kind === "list" ? steps.items : []) {
    if (step.kind !== "map") continue;
    for (const [name, { key, value }] of step.entries) {
      if (name === "when" || name === "unless") lintSteps(get(value, "steps"), reporter);
      if (name !== "deploy") continue;
      const message = "The `deploy` step is deprecated. Please use the `run` job instead.";
      reporter.report({ code: "deprecated", at: key, message, hint: "Write `run` for `deploy`." });
    }
  }
}
