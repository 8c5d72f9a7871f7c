import type { CompiledConfig, CompiledInvocation, CompiledWorkflow, InvocationOptions } from "../compiled.ts";
import type { Instance } from "../expand/invocation.ts";
import type { Workflow } from "../expand/workflow.ts";
import { setOwn } from "../parse/node.ts";
import { uniqueNames } from "./names.ts";
import { requirements } from "./requirements.ts";

/** Expanded workflows → the compiled form: names unique, requirements by name, jobs in order of first use. */
export function compileWorkflows(workflows: readonly Workflow[]): CompiledConfig {
  const names = uniqueNames(workflows);
  const config: CompiledConfig = { jobs: {}, workflows: {} };
  for (const workflow of workflows) {
    const waits = requirements(workflow, names);
    const jobs: CompiledInvocation[] = [];
    for (const instance of workflow.instances) {
      const name = names.get(instance) ?? instance.name;
      if (instance.job) setOwn(config.jobs, name, instance.job);
      const options = optionsOf(instance, waits.get(instance));
      jobs.push(options ? { [name]: options } : name);
    }
    setOwn(config.workflows, workflow.name, workflowOf(workflow, jobs));
  }
  return config;
}

/** Undefined when there is nothing to say. */
function optionsOf(
  { type, options }: Instance,
  requires: InvocationOptions["requires"],
): InvocationOptions | undefined {
  const given = { ...(type ? { type } : {}), ...(requires ? { requires } : {}), ...options };
  return Object.keys(given).length > 0 ? given : undefined;
}

function workflowOf(workflow: Workflow, jobs: CompiledInvocation[]): CompiledWorkflow {
  return {
    jobs,
    ...(workflow.triggers === undefined
      ? {}
      : { triggers: workflow.triggers as NonNullable<CompiledWorkflow["triggers"]> }),
    ...(workflow.maxAutoReruns === undefined ? {} : { max_auto_reruns: workflow.maxAutoReruns }),
  };
}
