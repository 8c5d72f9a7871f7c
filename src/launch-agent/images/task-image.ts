import type { Image } from "../../engine/engine.ts";
import { fullName, type ImageName, readImageName } from "../../engine/image-name.ts";
import type { Secret } from "../../lib/secret.ts";
import { spinUpStep } from "../../protocol/records.ts";
import type { ImageSpec, Task } from "../../protocol/task.ts";
import type { LaunchLane } from "../relay/launch-lane.ts";
import type { TaskContext } from "../task/context.ts";
import { ConfigFault } from "../task/end.ts";
import { imageInWords, shortId } from "../task/words.ts";
import { AllowList } from "./allow-list.ts";
import { digestOf } from "./image-store.ts";

export interface TaskImageOptions {
  context: TaskContext;
  lane: LaunchLane;
  /** Of the task's claim. */
  token: Secret;
  signal: AbortSignal;
}

export interface TaskImage {
  image: Image;
  /** With the image's content for its name, where a registry knows it. */
  spec: ImageSpec;
}

/**
 * An image of a task, by the rules of its class and of this agent. A tag stands for the same content in all tasks of a pipeline, on
 * whatever host: the first of them says which. What happens is told in the task's first step.
 */
export async function ensureTaskImage(spec: ImageSpec, task: Task, options: TaskImageOptions): Promise<TaskImage> {
  const name = readImageName(spec.image);
  refuseForeign(name, task, options.context);
  const pinned = task.imagePins?.[fullName(name)];
  const image = await ensure({ spec, name: withDigest(name, pinned) }, task, options);
  const digest = name.digest ?? pinned ?? digestOf(image, name);
  if (digest === undefined) return { image, spec };
  if (name.digest !== undefined || pinned !== undefined) return { image, spec: byContent(spec, name, digest) };
  const stands = await pin({ reference: fullName(name), digest }, options);
  const same = stands === digest;
  return {
    image: same ? image : await ensure({ spec, name: withDigest(name, stands) }, task, options),
    spec: byContent(spec, name, stands),
  };
}

async function ensure(
  { spec, name }: { spec: ImageSpec; name: ImageName },
  task: Task,
  { context, lane, signal }: TaskImageOptions,
): Promise<Image> {
  const startedAt = context.clock.monotonic();
  const shown = name.digest === undefined || spec.image.includes("@") ? "" : `@${shortId(name.digest)}`;
  let pulled = false;
  const image = await context.images.ensure({
    reference: fullName(name),
    policy: task.container.pull,
    ...(spec.auth ? { credentials: spec.auth } : {}),
    signal,
    onProgress(line) {
      if (!pulled) lane.line(spinUpStep, `Pulling ${spec.image}${shown}`);
      pulled = true;
      // A slow control plane must not make this agent hold progress lines.
      if (!lane.full()) lane.line(spinUpStep, line);
    },
  });
  const seconds = ((context.clock.monotonic() - startedAt) / 1000).toFixed(1);
  const how = shown === "" ? "" : `, ${shortId(name.digest ?? "")} in the whole pipeline`;
  lane.line(spinUpStep, `${imageInWords(spec.image, image)}${how}${pulled ? `, pulled in ${seconds} s` : ""}`);
  return image;
}

/** Waits for the control plane as long as a task may go on without it: nothing has begun yet. */
async function pin(
  image: { reference: string; digest: string },
  { context, token, signal }: TaskImageOptions,
): Promise<string> {
  return await context.api.pinImage(image, { token, signal, giveUpAfterMs: context.limits.cutOffMs });
}

function withDigest(name: ImageName, digest: string | undefined): ImageName {
  return digest === undefined ? name : { registry: name.registry, repository: name.repository, digest };
}

function byContent(spec: ImageSpec, name: ImageName, digest: string): ImageSpec {
  return { ...spec, image: fullName(withDigest(name, digest)) };
}

/** Throws ConfigFault where the class or this agent does not allow the image. */
function refuseForeign(name: ImageName, { container }: Task, context: TaskContext): void {
  const ofClass =
    container.allowedImages && new AllowList(`resource class ${container.resourceClass}`, container.allowedImages);
  const refusal = ofClass?.refusal(name) ?? context.images.allowed?.refusal(name);
  if (refusal !== undefined) throw new ConfigFault(refusal);
}
