import { z } from "zod";
import type { CompiledJob } from "../../config/compiled.ts";
import type { Step } from "../../protocol/task.ts";
import { Text } from "./shapes.ts";

/** What is looked at here; of another shape it is somebody else's to refuse. */
const optional = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined);
const Said = z.object({
  circleci_ip_ranges: optional(z.boolean()),
  retention: optional(z.unknown()),
  machine: optional(z.object({ docker_layer_caching: optional(z.boolean()), image: optional(Text) })),
  steps: z.array(z.unknown()).catch([]),
});
const WithWhen = optional(z.object({ when: Text }));
const UploadStep = z.object({ store_artifacts: WithWhen, store_test_results: WithWhen }).catch({});

/** What of a job is passed over here, in words: shown as its first step, so that nobody has to wonder. Pure. */
export function differencesStep(body: CompiledJob, resourceClass: string | undefined): Step[] {
  const said = Said.parse(body);
  const differences = [...differencesOf(said, resourceClass), ...said.steps.flatMap(differencesOfStep)];
  if (differences.length === 0) return [];
  const name = "What is different from CircleCI here";
  return [{ type: "unsupported", name, reason: differences.join("\n"), fails: false }];
}

function differencesOf(said: z.infer<typeof Said>, resourceClass = ""): string[] {
  const found: string[] = [];
  if (said.circleci_ip_ranges)
    found.push("circleci_ip_ranges: the job goes out from this host's own address, not from CircleCI's ranges.");
  if (said.retention !== undefined)
    found.push("retention: caches are kept as long as all others here; the job's own setting is passed over.");
  if (said.machine?.docker_layer_caching)
    found.push("docker_layer_caching: tasks get no Docker engine, so there are no layers to keep.");
  if (said.machine?.image !== undefined)
    found.push(`machine image ${said.machine.image}: the job runs in a container of this runner's own image instead.`);
  if (/^(arm|gpu)\b/.test(resourceClass))
    found.push(`resource class ${resourceClass}: only its cores and memory are heeded; the processor is this host's.`);
  return found;
}

function differencesOfStep(step: unknown): string[] {
  return Object.entries(UploadStep.parse(step)).flatMap(([type, options]) => {
    if (options === undefined) return [];
    return [`${type} with when: ${options.when}: such a step has no \`when\`; it runs whatever failed before.`];
  });
}
