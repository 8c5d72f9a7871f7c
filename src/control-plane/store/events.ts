import { type CompiledQuery, sql } from "kysely";
import { firstTaskStep } from "../../protocol/records.ts";

import type { WatchEvent } from "../../protocol/watch.ts";
import { topics } from "../topics.ts";
import type { NewRow, Row } from "./schema.ts";
import type { Db, Unit } from "./store.ts";

/** Every event of a pipeline but output, which is kept as it came. */
export type ToldEvent = Exclude<WatchEvent, { type: "output" }>;

export interface OutputPiece {
  jobId: string;
  taskId: string;
  attempt: number;
  step: number;
  stream: "stdout" | "stderr";
  offset: number;
  length: number;
  encoding: "identity" | "zstd";
  data: Uint8Array;
}

export type NewEvent = { told: ToldEvent; attempt?: number } | { output: OutputPiece };

/** Puts events at the end of a pipeline's story, and wakes who watches it. */
export async function appendEvents(unit: Unit, pipelineId: string, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return;
  // So that numbers become visible in order.
  await unit.lock(topics.pipeline(pipelineId));
  const { event_seq } = await unit.db
    .updateTable("pipeline")
    .set((eb) => ({ event_seq: eb("event_seq", "+", events.length) }))
    .where("id", "=", pipelineId)
    .returning("event_seq")
    .executeTakeFirstOrThrow();
  await insertRows(
    unit.db,
    events.map((event, index) => ({
      pipeline_id: pipelineId,
      seq: event_seq - events.length + index + 1,
      ...columns(event),
    })),
  );
  unit.notify(topics.pipeline(pipelineId));
}

/** In one statement: far under the numbers of parameters that databases take. */
const rowsAtOnce = 100;

/** Output comes in thousands of rows: the statement is built for the first of them, and used again with the values of the others. */
async function insertRows(db: Db, rows: readonly NewRow<"event">[]): Promise<void> {
  const [first] = rows;
  if (!first) return;
  const names = Object.keys(first) as (keyof NewRow<"event">)[];
  let statement: CompiledQuery | undefined;
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    const some = rows.slice(from, from + rowsAtOnce);
    const fits = statement?.parameters.length === some.length * names.length;
    statement = statement && fits ? statement : db.insertInto("event").values(some).compile();
    await db.executeQuery({ ...statement, parameters: some.flatMap((row) => names.map((name) => row[name])) });
  }
}

/** Events after `seq`, in order, at most `limit`. */
export async function readEvents(
  db: Db,
  pipelineId: string,
  options: { after: number; limit: number; output: boolean },
): Promise<Row<"event">[]> {
  let query = db
    .selectFrom("event")
    .selectAll()
    .where("pipeline_id", "=", pipelineId)
    .where("seq", ">", options.after)
    .orderBy("seq")
    .limit(options.limit);
  if (!options.output) query = query.where("type", "!=", "output");
  return await query.execute();
}

export interface Attempt {
  pipelineId: string;
  jobId: string;
  taskId: string;
  attempt: number;
}

/**
 * Ends, in the story, the steps of an attempt that begun and were never ended: services that lived as long as the task, and what a
 * dead agent can no longer say.
 */
export async function closeOpenSteps(
  unit: Unit,
  attempt: Attempt,
  { atMs, but }: { atMs: number; but?: number },
): Promise<void> {
  const { pipelineId, jobId, taskId } = attempt;
  const open = await stepsWithoutEnd(unit.db, attempt);
  if (but !== undefined) open.delete(but);
  const outcome = { kind: "canceled" } as const;
  const told = [...open].map((step) => ({ type: "step-ended" as const, jobId, taskId, step, outcome, atMs }));
  await appendEvents(
    unit,
    pipelineId,
    told.map((event) => ({ told: event, attempt: attempt.attempt })),
  );
}

/** The launch agent's steps that have not ended, with the bytes of output that are stored of each. */
export async function openLaunchSteps(
  db: Db,
  attempt: Pick<Attempt, "taskId" | "attempt">,
): Promise<{ step: number; bytes: number }[]> {
  const steps = [...(await stepsWithoutEnd(db, attempt))].filter((step) => step < firstTaskStep);
  return await Promise.all(steps.map(async (step) => ({ step, bytes: await outputBytesOf(db, { ...attempt, step }) })));
}

async function stepsWithoutEnd(db: Db, { taskId, attempt }: Pick<Attempt, "taskId" | "attempt">): Promise<Set<number>> {
  const rows = await db
    .selectFrom("event")
    .select(["type", "step"])
    .where("task_id", "=", taskId)
    .where("attempt", "=", attempt)
    // In the very words of the index, which is used only then.
    .where(sql<boolean>`type in ('step-started', 'step-ended')`)
    .orderBy("seq")
    .execute();
  const open = new Set<number>();
  for (const { type, step } of rows) {
    if (step === null) continue;
    if (type === "step-started") open.add(step);
    else open.delete(step);
  }
  return open;
}

async function outputBytesOf(db: Db, key: StepKey): Promise<number> {
  const last = await db
    .selectFrom("event")
    .select(["start_byte", "length_bytes"])
    .where("type", "=", "output")
    .where("task_id", "=", key.taskId)
    .where("attempt", "=", key.attempt)
    .where("step", "=", key.step)
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
  return (last?.start_byte ?? 0) + (last?.length_bytes ?? 0);
}

export interface StepKey {
  taskId: string;
  attempt: number;
  step: number;
}

/** Pieces of a step's output after the event `after`, in order of arrival. */
export async function readOutputPieces(
  db: Db,
  key: StepKey,
  options: { after: number; limit: number },
): Promise<Row<"event">[]> {
  return await db
    .selectFrom("event")
    .selectAll()
    .where("type", "=", "output")
    .where("task_id", "=", key.taskId)
    .where("attempt", "=", key.attempt)
    .where("step", "=", key.step)
    .where("seq", ">", options.after)
    .orderBy("seq")
    .limit(options.limit)
    .execute();
}

type Columns = Omit<NewRow<"event">, "pipeline_id" | "seq">;

function columns(event: NewEvent): Columns {
  if ("output" in event) return outputColumns(event.output);
  const { told, attempt = null } = event;
  return {
    type: told.type,
    body_json: JSON.stringify(told),
    job_id: "jobId" in told ? told.jobId : null,
    task_id: "taskId" in told ? told.taskId : null,
    attempt,
    step: "step" in told ? told.step : null,
    stream: null,
    start_byte: null,
    length_bytes: null,
    encoding: null,
    data: null,
  };
}

function outputColumns(piece: OutputPiece): Columns {
  return {
    type: "output",
    body_json: null,
    job_id: piece.jobId,
    task_id: piece.taskId,
    attempt: piece.attempt,
    step: piece.step,
    stream: piece.stream,
    start_byte: piece.offset,
    length_bytes: piece.length,
    encoding: piece.encoding,
    data: piece.data,
  };
}
