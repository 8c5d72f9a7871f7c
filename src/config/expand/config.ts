import type { CompileOptions } from "../compile-options.ts";
import type { Reporter } from "../diagnostics/reporter.ts";
import type { Source } from "../diagnostics/source.ts";
import { limits } from "../parse/limits.ts";
import { get, isNull, type MapNode, type Node, plain } from "../parse/node.ts";
import type { Version } from "../schema/config.ts";
import { fetchOrbs, type ResolvedOrb } from "./orb-fetch.ts";
import { linkOrbs } from "./orbs.ts";
import { checkDefaults, definitionFrame } from "./parameters.ts";
import { type Here, namespaceOf, type Pass, report } from "./pass.ts";
import { pipelineNames } from "./pipeline.ts";
import { expandVersion2 } from "./version-2.ts";
import { buildWorkflow, expandWorkflow, type Workflow } from "./workflow.ts";

export interface Expanded {
  workflows: Workflow[];
  setup: boolean;
  orbs: ResolvedOrb[];
  sources: Source[];
}

/** A checked config → its workflows with every job as it will run. */
export async function expandConfig(
  config: { root: MapNode; version: Version },
  options: CompileOptions,
  reporter: Reporter,
): Promise<Expanded> {
  const { root, version } = config;
  const pass: Pass = {
    reporter,
    pipeline: new Map(),
    templating: version === "2.1",
    templates: new Map(),
    checkedSteps: new Map(),
    heads: new Map(),
    budget: { left: limits.expansion, told: false },
  };
  const bare: Here = { pass, scope: { namespace: namespaceOf(root, "project", new Map()) } };
  if (version === "2") return { workflows: expandVersion2(root, bare), setup: isSetup(root), orbs: [], sources: [] };
  const given = { parameters: options.pipelineParameters ?? {}, values: options.pipelineValues ?? {} };
  pass.pipeline = pipelineNames(get(root, "parameters"), given, bare);
  const fetched = await fetchOrbs(get(root, "orbs"), bare, { source: options.orbs, signal: options.signal });
  const orbs = linkOrbs(get(root, "orbs"), bare, fetched);
  const here: Here = { pass, scope: { namespace: namespaceOf(root, "project", orbs) } };
  checkDefinitions(here);
  const workflows = workflowsOf(root, here);
  const setup = isSetup(root);
  if (setup) checkSetup(workflows, here);
  return { workflows, setup, orbs: fetched.resolved, sources: fetched.sources };
}

function isSetup(root: MapNode): boolean {
  const setup = get(root, "setup");
  return setup !== undefined && !isNull(setup) && plain(setup) !== false;
}

/** A setup config decides which config is to go on: one workflow does that, and no schedule asks it. */
function checkSetup(workflows: readonly Workflow[], here: Here): void {
  const hint = "Move the other workflows to the config that goes on, or switch them off with `when`.";
  // Which of those with filters runs is seen when branch and tag are known.
  const certain = workflows.filter(({ instances }) =>
    instances.some(({ options }) => options["filters"] === undefined),
  );
  for (const { at, name } of certain.slice(1)) {
    report(here, {
      code: "bad-setup",
      at,
      message: `A setup config runs exactly one workflow; '${name}' is another one`,
      hint,
    });
  }
  for (const { at, triggers, name } of workflows) {
    if (triggers === undefined) continue;
    const message = `A setup config has no scheduled workflows; '${name}' has triggers`;
    report(here, { code: "bad-setup", at, message, hint: "Schedule the pipeline instead of the workflow." });
  }
}

function checkDefinitions(here: Here): void {
  const { namespace } = here.scope;
  for (const kind of ["command", "executor", "job"] as const) {
    const definitions = namespace[`${kind}s`];
    for (const [name, definition] of definitions) checkDefaults(definition, definitionFrame(here, kind, name));
  }
}

function workflowsOf(root: MapNode, here: Here): Workflow[] {
  const workflows = get(root, "workflows");
  if (workflows?.kind !== "map") return defaultWorkflow(here, root);
  const list: Workflow[] = [];
  for (const [name, entry] of workflows.entries) {
    if (name === "version" && entry.value.kind === "scalar") continue;
    const workflow = expandWorkflow(name, entry, here);
    if (workflow) list.push(workflow);
  }
  return list;
}

/** Without workflows the job `build` runs. */
function defaultWorkflow(config: Here, root: Node): Workflow[] {
  const definition = config.scope.namespace.jobs.get("build");
  if (!definition) {
    const hint = "Add `workflows:`, or a job called `build`.";
    report(config, {
      code: "nothing-to-run",
      at: { source: root.source, start: root.start, end: root.start + 1 },
      message: "This config runs nothing: it has no workflows, and no job `build`.",
      hint,
    });
    return [];
  }
  return [buildWorkflow(definition, config)];
}
