import { errorFacts, type Log } from "../log.ts";
import type { LaunchLane } from "../relay/launch-lane.ts";
import type { Sandbox } from "./sandbox.ts";

/** Of the launch lane; services have theirs from 1 on, and there are fewer than twenty. */
const networkStep = 90;
const mostLines = 100;

/**
 * Says in a step of its own what a task wanted to reach and could not, or could only because its class is in audit. Nothing where the
 * class has no lists, or nothing was seen. Never rejects.
 */
export async function tellSeen(sandbox: Sandbox, { lane, log }: { lane: LaunchLane; log: Log }): Promise<void> {
  if (!sandbox.rules.hasLists) return;
  try {
    const { refused, unlisted } = await sandbox.seen();
    const lines = [
      ...refused.map((destination) => `refused: ${destination}`),
      ...unlisted.map((destination) => `not allowed, let through for the audit: ${destination}`),
    ];
    if (lines.length === 0) return;
    lane.stepStarted(networkStep, "Network", "spin_up");
    for (const line of lines.slice(0, mostLines)) lane.line(networkStep, line);
    if (lines.length > mostLines) lane.line(networkStep, `and ${lines.length - mostLines} more`);
    lane.stepEnded(networkStep, { kind: "succeeded" });
  } catch (error) {
    log.warn({ sandbox: sandbox.name, ...errorFacts(error) }, "what a task's rules refused could not be read");
  }
}
