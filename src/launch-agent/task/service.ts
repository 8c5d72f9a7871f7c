import type { Attachment, Exit } from "../../engine/engine.ts";
import type { LaunchLane } from "../relay/launch-lane.ts";
import type { TaskContext } from "./context.ts";

/** What a service may say; more is dropped, and that is said. */
const mostOutputBytes = 16 * 1024 * 1024;

export interface FollowedService {
  step: number;
  name: string;
  id: string;
  attachment: Attachment;
  lane: LaunchLane;
  signal: AbortSignal;
}

/** Shows a service container's output as a step of its own, until it ends or the task does. Never rejects. */
export async function followService(service: FollowedService, context: TaskContext): Promise<void> {
  const { lane, step, attachment } = service;
  lane.stepStarted(step, `Container ${service.name}`, "service");
  // Not ended: Docker closes both outputs of an attachment whose input has ended.
  attachment.stdin.on("error", () => {});
  const budget = { bytes: mostOutputBytes };
  const streams = Promise.all([copy(service, "stdout", budget), copy(service, "stderr", budget)]);
  const exit = await exitOf(service, context);
  if (exit) await streams;
  attachment.close();
  if (!exit) lane.stepEnded(step, { kind: "canceled" });
  else if (exit.code === 0) lane.stepEnded(step, { kind: "succeeded" });
  else lane.stepEnded(step, { kind: "exited", code: exit.code });
}

/** Undefined when the task ended first, which is how a service should end. */
async function exitOf(service: FollowedService, context: TaskContext): Promise<Exit | undefined> {
  try {
    return await context.engine.wait(service.id, service.signal);
  } catch {
    return undefined;
  }
}

async function copy(service: FollowedService, stream: "stdout" | "stderr", budget: { bytes: number }): Promise<void> {
  const { lane, step, attachment } = service;
  try {
    for await (const chunk of attachment[stream] as AsyncIterable<Buffer>) {
      if (budget.bytes <= 0) continue;
      const kept = chunk.subarray(0, budget.bytes);
      budget.bytes -= kept.byteLength;
      lane.output(step, stream, kept);
      if (budget.bytes === 0) lane.line(step, `\n(output beyond ${mostOutputBytes} bytes is not shown)`);
      await lane.full();
    }
  } catch {
    // The attachment broke: that the container ended, or the engine did, is told by `wait`.
  }
}
