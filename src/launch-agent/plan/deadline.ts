import type { Image } from "../../engine/engine.ts";
import type { ImageSpec, Task } from "../../protocol/task.ts";
import { taskAgentPath } from "./working-directory.ts";

/** A static busybox of the task-agent image, and of the volume that containers of other images have of it. */
export const busybox = `${taskAgentPath}/busybox`;

/** From when something of a task is made to when everybody may take it for dead, and it ends by itself. */
export function lifeMs(task: Pick<Task, "work">, slackMs: number): number {
  return task.work.maxRunTimeMs + slackMs;
}

/**
 * The command line, with a watch beside it that kills it when its time is up; the container ends with it. The process itself is
 * none but the command's own: its number, its signals and its environment are what they were.
 */
export function endingAfter(ms: number, command: readonly string[]): string[] {
  return [busybox, "timeout", "-s", "KILL", String(Math.ceil(ms / 1000)), ...command];
}

/** What a container runs of an image where its config says this much, as engines put it together. Empty: it cannot be run. */
export function commandOf(image: Image, { entrypoint, command }: Pick<ImageSpec, "entrypoint" | "command">): string[] {
  if (entrypoint === undefined) return [...image.entrypoint, ...(command ?? image.command)];
  const none = entrypoint.length === 1 && entrypoint[0] === "";
  return [...(none ? [] : entrypoint), ...(command ?? [])];
}
