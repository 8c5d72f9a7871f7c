import type { Readable } from "node:stream";
import type { Context } from "../context.ts";
import type { StoredArtifact } from "../control-plane.ts";
import { ControlPlaneError } from "../errors.ts";
import { appendEvents } from "../store/events.ts";
import { findJob, findPipeline } from "../store/pipelines.ts";
import type { Row } from "../store/schema.ts";
import { artifactsOfPipeline, putArtifact } from "../store/stored.ts";
import { keepBlob } from "./keep.ts";

const maxPathBytes = 4096;
const maxSegmentBytes = 255;

/** Keeps an artifact under the path that people look for. Throws ControlPlaneError `bad-request` for a path that is none. */
export async function storeArtifact(
  context: Context,
  task: Row<"task">,
  artifact: { path: string; content: Readable; signal: AbortSignal },
): Promise<void> {
  const { path } = artifact;
  checkPath(path);
  const directory = await directoryOf(context, task);
  await keepBlob(context, task, { ...artifact, key: `${directory}/${path}` }, async (unit, stored) => {
    const { sizeBytes } = stored;
    await putArtifact(unit.db, {
      task_id: task.id,
      attempt: task.attempt,
      path,
      blob: stored.key,
      size_bytes: sizeBytes,
      sha256: stored.sha256,
    });
    const told = { type: "artifact", jobId: task.job_id, taskId: task.id, path, sizeBytes } as const;
    await appendEvents(unit, task.pipeline_id, [{ told, attempt: task.attempt }]);
  });
}

export async function listArtifacts(context: Context, pipelineId: string): Promise<StoredArtifact[]> {
  const rows = await artifactsOfPipeline(context.store.db, pipelineId);
  return rows.map(({ job, node, path, size_bytes, blob, sha256 }) => ({
    job,
    node,
    path,
    sizeBytes: size_bytes,
    blob: { key: blob, sizeBytes: size_bytes, sha256 },
  }));
}

function checkPath(path: string): void {
  if (path === "" || Buffer.byteLength(path) > maxPathBytes || path.includes("\0"))
    throw new ControlPlaneError("bad-request", `an artifact's path has 1 to ${maxPathBytes} bytes, and no NUL`);
  for (const segment of path.split("/"))
    if (segment === "" || segment === "." || segment === ".." || Buffer.byteLength(segment) > maxSegmentBytes)
      throw new ControlPlaneError(
        "bad-request",
        `artifact path "${path}" is not relative and plain: no empty, "." or ".." part, and none over ${maxSegmentBytes} bytes`,
      );
}

/** Each attempt has one of its own: what an old one still writes meets nothing of the new one. */
async function directoryOf(context: Context, task: Row<"task">): Promise<string> {
  const job = await findJob(context.store.db, task.job_id);
  const pipeline = await findPipeline(context.store.db, task.pipeline_id);
  const again = task.attempt > 1 ? `-attempt-${task.attempt}` : "";
  return `artifacts/${pipeline?.number}/${job?.artifact_directory}/${task.node_index}${again}`;
}
