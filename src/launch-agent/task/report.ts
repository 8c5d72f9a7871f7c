import { spinUpStep } from "../../protocol/records.ts";
import type { AgentApi, Claim } from "../api/client.ts";
import type { LaunchLane } from "../relay/launch-lane.ts";
import type { TaskContext } from "./context.ts";
import type { TaskEnd } from "./end.ts";
import type { TaskLink } from "./link.ts";

export interface ReportOptions {
  context: TaskContext;
  claim: Claim;
  lane: LaunchLane;
  link: TaskLink;
  /** Whether the first step may have run. */
  begun: boolean;
  signal: AbortSignal;
}

/** Tells the control plane how the task ended, where that has not been told. */
export async function reportEnd(end: TaskEnd, options: ReportOptions): Promise<void> {
  const { lane } = options;
  switch (end.kind) {
    case "reported":
      return await lane.flushed();
    case "unheard":
      return;
    case "ended":
      lane.line(spinUpStep, end.message);
      lane.stepEnded(spinUpStep, outcomeOf(end));
      await options.link.flushed();
      lane.taskEnded(end.status, end.message);
      return await lane.flushed();
    case "infrastructure":
      return await reportInfrastructure(end.message, options);
    default:
      return end satisfies never;
  }
}

/** A task whose steps had not begun goes back to the queue; the control plane counts how often. */
async function reportInfrastructure(message: string, options: ReportOptions): Promise<void> {
  const { lane, begun, link } = options;
  lane.stepEnded(spinUpStep, { kind: "infrastructure", message });
  if (!begun) {
    await lane.flushed();
    if ((await giveBack(options.context.api, message, options)) !== "tried-too-often") return;
  }
  await link.flushed();
  lane.taskEnded("infrastructure_fail", message);
  await lane.flushed();
}

async function giveBack(api: AgentApi, reason: string, options: ReportOptions) {
  const { claim, context, signal } = options;
  const giveUpAfterMs = context.limits.unclaimMs;
  return await api.unclaim({ taskId: claim.task.id, token: claim.token, reason }, { signal, giveUpAfterMs });
}

function outcomeOf(end: Extract<TaskEnd, { kind: "ended" }>) {
  if (end.status === "canceled") return { kind: "canceled" } as const;
  return { kind: "failed", message: end.message } as const;
}
