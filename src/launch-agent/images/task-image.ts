import type { Image } from "../../engine/engine.ts";
import { readImageName } from "../../engine/image-name.ts";
import { spinUpStep } from "../../protocol/records.ts";
import type { ImageSpec, Task } from "../../protocol/task.ts";
import type { LaunchLane } from "../relay/launch-lane.ts";
import type { TaskContext } from "../task/context.ts";
import { ConfigFault } from "../task/end.ts";
import { imageInWords } from "../task/words.ts";
import { AllowList } from "./allow-list.ts";

export interface TaskImageOptions {
  context: TaskContext;
  lane: LaunchLane;
  signal: AbortSignal;
}

/** An image of a task, by the rules of its class and of this agent. What happens is told in the task's first step. */
export async function ensureTaskImage(spec: ImageSpec, task: Task, options: TaskImageOptions): Promise<Image> {
  const { context, lane, signal } = options;
  refuseForeign(spec, task, context);
  const startedAt = context.clock.monotonic();
  let pulled = false;
  const image = await context.images.ensure({
    reference: spec.image,
    policy: task.container.pull,
    ...(spec.auth ? { credentials: spec.auth } : {}),
    signal,
    onProgress(line) {
      if (!pulled) lane.line(spinUpStep, `Pulling ${spec.image}`);
      pulled = true;
      // A slow control plane must not make this agent hold progress lines.
      if (!lane.full()) lane.line(spinUpStep, line);
    },
  });
  const seconds = ((context.clock.monotonic() - startedAt) / 1000).toFixed(1);
  lane.line(spinUpStep, `${imageInWords(spec.image, image)}${pulled ? `, pulled in ${seconds} s` : ""}`);
  return image;
}

/** Throws ConfigFault where the class or this agent does not allow the image. */
function refuseForeign(spec: ImageSpec, { container }: Task, context: TaskContext): void {
  const name = readImageName(spec.image);
  const ofClass =
    container.allowedImages && new AllowList(`resource class ${container.resourceClass}`, container.allowedImages);
  const refusal = ofClass?.refusal(name) ?? context.images.allowed?.refusal(name);
  if (refusal !== undefined) throw new ConfigFault(refusal);
}
