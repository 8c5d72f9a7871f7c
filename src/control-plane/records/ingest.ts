import type { Readable } from "node:stream";
import { type Lane, type Output, spinUpStep } from "../../protocol/records.ts";
import { notHeld, taskIsOver } from "../auth/tokens.ts";
import type { Context } from "../context.ts";
import { ControlPlaneError } from "../errors.ts";
import { applyEvent } from "../pipelines/apply.ts";
import { isTaskEnd } from "../pipelines/status.ts";
import { isSameHolder } from "../queue/holder.ts";
import { appendEvents, closeOpenSteps, type NewEvent, type OutputPiece } from "../store/events.ts";
import type { Row } from "../store/schema.ts";
import type { Unit } from "../store/store.ts";
import { ackedOf, lockTask, setAcked, updateTask } from "../store/tasks.ts";
import { type ReceivedRecord, readRecords } from "./read-body.ts";
import { type EncodedPiece, verifyPieces } from "./verify.ts";

/** Room beyond the limit for the task agent's own notice that the rest is dropped. */
const outputSlackBytes = 64 * 1024;

export interface Ingest {
  task: Row<"task">;
  lane: Lane;
  body: Readable;
}

/**
 * Stores records, and answers up to which number the lane is stored then. Numbers that are stored already are ignored.
 * Throws ControlPlaneError: `gap` (with `acked`) when records are missing before these, `bad-request`, `too-large`, `stale-attempt`,
 * `unauthorized` when the task agent has said its last word before.
 */
export async function ingestRecords(context: Context, { task, lane, body }: Ingest): Promise<{ acked: number }> {
  const key = { taskId: task.id, attempt: task.attempt, lane };
  const received = await readRecords(body, lane);
  const known = await ackedOf(context.store.db, key);
  await verifyPieces(piecesAfter(received, known, roomFor(task)));
  return await context.store.transaction(async (unit) => {
    const now = await lockTask(unit, task);
    if (!isSameHolder(now, task) || now.fenced === 1) throw notHeld(now, task);
    const acked = await ackedOf(unit.db, key);
    const fresh = received.filter(({ seq }) => seq > acked);
    const last = fresh.at(-1);
    if (!last) return { acked };
    // The launch agent may still have to say that its part is done; the task agent's last word was its last.
    if (lane === "task" && isTaskEnd(now.status)) throw taskIsOver(task.id);
    if (fresh[0]?.seq !== acked + 1) throw gap(acked, fresh[0]?.seq);
    await store(context, unit, { task: now, lane, fresh });
    await setAcked(unit.db, key, last.seq);
    return { acked: last.seq };
  });
}

/** The pieces that are stored. What is beyond the limit is dropped unread: eight megabytes of it can say that they are forty thousand. */
function* piecesAfter(received: readonly ReceivedRecord[], known: number, roomBytes: number): Generator<EncodedPiece> {
  let bytes = 0;
  for (const { seq, record, body } of received) {
    if (seq <= known) continue;
    if (record.type === "output") {
      bytes += record.length;
      if (bytes <= roomBytes) yield { encoding: record.encoding, length: record.length, data: body };
    } else if (body.byteLength > 0)
      throw new ControlPlaneError("bad-request", `record ${seq} has bytes, and is no output`);
  }
}

function gap(acked: number, first: number | undefined): ControlPlaneError {
  return new ControlPlaneError(
    "gap",
    `records are stored up to ${acked}, and these begin at ${first}; begin at ${acked + 1}`,
    {
      details: { acked },
    },
  );
}

interface Fresh {
  task: Row<"task">;
  lane: Lane;
  fresh: ReceivedRecord[];
}

async function store(context: Context, unit: Unit, { task, lane, fresh }: Fresh): Promise<void> {
  const events: NewEvent[] = [];
  const budget = outputBudget(task);
  const ids = { jobId: task.job_id, taskId: task.id };
  for (const { record, body } of fresh) {
    if (record.type === "output")
      events.push(...budget.take({ ...ids, attempt: task.attempt, ...pieceOf(record, body) }));
    else if (record.type !== "task-ended")
      events.push({ told: { ...withoutBackground(record), ...ids }, attempt: task.attempt });
  }
  await appendEvents(unit, task.pipeline_id, events);
  const begun = lane === "task" || task.begun === 1;
  // Who sends records is alive.
  const lease = task.status === "running" ? { lease_expires_ms: context.clock.now() + context.leaseMs } : {};
  await updateTask(unit.db, task.id, { begun: begun ? 1 : 0, ...budget.columns, ...lease });
  const ended = fresh.map(({ record }) => record).find((record) => record.type === "task-ended");
  if (!ended) return;
  const attempt = { ...ids, pipelineId: task.pipeline_id, attempt: task.attempt };
  // A task may be over before the end of its spinning up arrives, which comes by the other lane.
  const but = lane === "task" ? { but: spinUpStep } : {};
  await closeOpenSteps(unit, attempt, { atMs: context.clock.now(), ...but });
  const { status, message } = ended;
  const words = message === undefined ? {} : { message };
  const unsafeRetries = task.unsafe_retries === 1;
  const of = { task: task.id, attempt: task.attempt, begun, unsafeRetries };
  const event = { type: "task-ended", ...of, status, ...words } as const;
  await applyEvent(context, unit, task.pipeline_id, event);
}

type StepRecord = Extract<ReceivedRecord["record"], { type: "step-started" | "step-ended" }>;
type StepEvent =
  | Exclude<StepRecord, { type: "step-started" }>
  | Omit<StepRecord & { type: "step-started" }, "background">;

function withoutBackground(record: StepRecord): StepEvent {
  if (record.type === "step-ended") return record;
  const { background: _background, ...told } = record;
  return told;
}

function pieceOf(record: Output, data: Buffer): Omit<OutputPiece, "jobId" | "taskId" | "attempt"> {
  const { step, stream, offset, length, encoding } = record;
  return { step, stream, offset, length, encoding, data };
}

interface OutputBudget {
  /** The piece while there is room; then, once, a notice; then nothing. */
  take(piece: OutputPiece): NewEvent[];
  readonly columns: Partial<Row<"task">>;
}

function roomFor(task: Row<"task">): number {
  return task.output_dropped === 1 ? 0 : task.output_limit + outputSlackBytes - task.output_bytes;
}

/** The task agent stops at the limit by itself. This holds for one that does not. */
function outputBudget(task: Row<"task">): OutputBudget {
  const limit = task.output_limit;
  let room = roomFor(task);
  let bytes = task.output_bytes;
  let dropped = task.output_dropped === 1;
  return {
    take(piece) {
      if (piece.length <= room) {
        room -= piece.length;
        bytes += piece.length;
        return [{ output: piece }];
      }
      room = 0;
      if (dropped) return [];
      dropped = true;
      const data = Buffer.from(`\n[the output limit of ${limit} bytes is reached: what follows is dropped]\n`);
      return [{ output: { ...piece, encoding: "identity", length: data.byteLength, data } }];
    },
    get columns() {
      return { output_bytes: bytes, output_dropped: dropped ? 1 : 0 };
    },
  };
}
