import type { WatchLine } from "../../protocol/operator-api.ts";
import { WatchEvent } from "../../protocol/watch.ts";
import type { Context } from "../context.ts";
import { ControlPlaneError } from "../errors.ts";
import { pieceOfRow } from "../records/output.ts";
import { decodePiece } from "../records/verify.ts";
import { readEvents } from "../store/events.ts";
import { findPipeline } from "../store/pipelines.ts";
import type { Row } from "../store/schema.ts";
import { topics } from "../topics.ts";

/** Output pieces may have a megabyte each: a watcher holds a few. */
const eventsAtOnce = { withOutput: 16, withoutOutput: 256 };
/** How late the events of another process may be. */
const lookIntervalMs = 250;

/** Who waits hears something this often, be it nothing. */
const keepAliveMs = 15_000;

export interface WatchOptions {
  signal: AbortSignal;
  output: boolean;
  /** The number of the event after which to begin. */
  after?: number;
}

type Needed = Pick<Context, "store" | "notifier" | "closing" | "clock">;

/** A pipeline's story from its first event on. See `storyOfPipeline`. */
export async function* watchPipeline(
  context: Needed,
  pipelineId: string,
  options: WatchOptions,
): AsyncGenerator<WatchEvent, void, undefined> {
  for await (const line of storyOfPipeline(context, pipelineId, options)) if (line) yield line.event;
}

/**
 * A pipeline's story, with the numbers of its events; undefined where nothing has happened for a while. The rows are the truth, read at the
 * watcher's own pace: a slow one holds no memory here. Ends after `pipeline-ended`; rejects with the signal's reason when it aborts, and when
 * the control plane closes. Throws ControlPlaneError `not-found`.
 */
export async function* storyOfPipeline(
  context: Needed,
  pipelineId: string,
  { signal: caller, output, after: first = 0 }: WatchOptions,
): AsyncGenerator<WatchLine | undefined, void, undefined> {
  if (!(await findPipeline(context.store.db, pipelineId)))
    throw new ControlPlaneError("not-found", `there is no pipeline ${pipelineId}`);
  const { clock } = context;
  const signal = AbortSignal.any([caller, context.closing]);
  using news = context.notifier.listen(topics.pipeline(pipelineId));
  const limit = output ? eventsAtOnce.withOutput : eventsAtOnce.withoutOutput;
  let toldMs = clock.monotonic();
  for (let after = first; ; ) {
    signal.throwIfAborted();
    const rows = await readEvents(context.store.db, pipelineId, { after, limit, output });
    for (const row of rows) {
      yield { seq: row.seq, event: eventOf(row) };
      if (row.type === "pipeline-ended") return;
      after = row.seq;
      signal.throwIfAborted();
    }
    if (rows.length > 0) toldMs = clock.monotonic();
    else if (clock.monotonic() - toldMs > keepAliveMs) {
      // Its events may have been pruned, the last one with them.
      if ((await findPipeline(context.store.db, pipelineId))?.ended_ms !== null) return;
      yield undefined;
      toldMs = clock.monotonic();
    }
    if (rows.length < limit) await news.wait({ timeoutMs: lookIntervalMs, signal });
  }
}

function eventOf(row: Row<"event">): WatchEvent {
  if (row.type !== "output") return WatchEvent.parse(JSON.parse(row.body_json ?? "null"));
  const bytes = decodePiece(pieceOfRow(row));
  return {
    type: "output",
    jobId: row.job_id ?? "",
    taskId: row.task_id ?? "",
    step: row.step ?? 0,
    stream: row.stream === "stderr" ? "stderr" : "stdout",
    offset: row.start_byte ?? 0,
    data: bytes.toString("base64"),
  };
}
