import type { ContainerPlan } from "../engine.ts";
import type { DummyContainer } from "./container.ts";

/** A call that the contract forbids: the fault of the code under test, so no EngineError that it might swallow. */
export class CallerError extends Error {
  override name = "CallerError";
  constructor(message: string) {
    super(`caller error: ${message}`);
  }
}

/** What a plan must have for a container to be found again and to be safe. Undefined: nothing wrong. */
export function faultOfPlan(plan: ContainerPlan, requiredLabels: readonly string[]): string | undefined {
  const unlabelled = faultOfLabels(plan, requiredLabels);
  if (unlabelled !== undefined) return unlabelled;
  const { memoryBytes, cpus, pids, openFiles } = plan.limits;
  if (![memoryBytes, cpus, pids, openFiles].every((limit) => Number.isFinite(limit) && limit > 0))
    return `plan ${plan.name} has a limit that is none`;
  const paths = [plan.workingDirectory ?? "/", ...plan.shared.map((shared) => shared.path)];
  if (plan.workspace !== undefined) paths.push(plan.workspace.path);
  const relative = paths.find((path) => !path.startsWith("/"));
  if (relative !== undefined) return `plan ${plan.name} has the relative path "${relative}"`;
  return undefined;
}

export function faultOfLabels(
  plan: Pick<ContainerPlan, "name" | "labels">,
  requiredLabels: readonly string[],
): string | undefined {
  const missing = requiredLabels.find((label) => (plan.labels[label] ?? "") === "");
  if (missing !== undefined) return `plan ${plan.name} has no label ${missing}`;
  if (Object.keys(plan.labels).length === 0) return `plan ${plan.name} has no label at all`;
  return undefined;
}

export function faultOfStart(container: DummyContainer): string | undefined {
  if (container.phase !== "created") return `container ${container.plan.name} was started before`;
  if (!container.everAttached) return `container ${container.plan.name} is started with nobody attached`;
  return undefined;
}
