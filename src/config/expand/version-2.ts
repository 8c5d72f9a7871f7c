import type { MapNode, Node } from "../parse/node.ts";
import { get } from "../parse/node.ts";
import { type Here, report } from "./pass.ts";
import { buildWorkflow, expandWorkflow, type Workflow } from "./workflow.ts";

/** Version 2 has no templates, orbs, commands, executors or parameters: what looks like one is text. */
export function expandVersion2(root: MapNode, outer: Here): Workflow[] {
  const here: Here = {
    ...outer,
    scope: { namespace: { ...outer.scope.namespace, commands: new Map(), executors: new Map() } },
  };
  const workflows = get(root, "workflows");
  if (workflows?.kind === "map") {
    return [...workflows.entries]
      .filter(([name]) => name !== "version")
      .flatMap(([name, entry]) => expandWorkflow(name, entry, here) ?? []);
  }
  const build = here.scope.namespace.jobs.get("build");
  if (!build) {
    report(here, {
      code: "no-jobs",
      at: jobsPlace(root),
      message: noBuild,
      hint: "Call one of the jobs `build`, or add `workflows:`.",
    });
    return [];
  }
  return [buildWorkflow(build, here)];
}

const noBuild =
  "Cannot find a job named `build` to run in the `jobs:` section of your configuration file.\n" +
  "If you expected a workflow to run, check your config contains a top-level key called 'workflows:'";

function jobsPlace(root: MapNode): Node {
  return root.entries.get("jobs")?.key ?? root;
}
