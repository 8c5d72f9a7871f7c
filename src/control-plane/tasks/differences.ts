import type { CompiledJob } from "../../config/compiled.ts";
import type { Step } from "../../protocol/task.ts";

/** What of a job is passed over here, in words: shown as its first step, so that nobody has to wonder. Pure. */
export function differencesStep(body: CompiledJob, resourceClass: string | undefined): Step[] {
  const differences = differencesOf(body, resourceClass);
  if (differences.length === 0) return [];
  const name = "What is different from CircleCI here";
  return [{ type: "unsupported", name, reason: differences.join("\n"), fails: false }];
}

function differencesOf(body: CompiledJob, resourceClass = ""): string[] {
  const found: string[] = [];
  if (body["circleci_ip_ranges"] === true)
    found.push("circleci_ip_ranges: the job goes out from this host's own address, not from CircleCI's ranges.");
  if (body["retention"] !== undefined)
    found.push("retention: caches are kept as long as all others here; the job's own setting is passed over.");
  if (typeof body.machine === "object" && body.machine.docker_layer_caching === true)
    found.push("docker_layer_caching: tasks get no Docker engine, so there are no layers to keep.");
  if (typeof body.machine === "object" && body.machine.image !== undefined)
    found.push(`machine image ${body.machine.image}: the job runs in a container of this runner's own image instead.`);
  if (/^(arm|gpu)\b/.test(resourceClass))
    found.push(`resource class ${resourceClass}: only its cores and memory are heeded; the processor is this host's.`);
  return found;
}
