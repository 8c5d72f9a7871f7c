import { ControlPlaneError } from "../errors.ts";
import { readOutputPieces, type StepKey } from "../store/events.ts";
import type { Row } from "../store/schema.ts";
import type { Db } from "../store/store.ts";
import { findTask } from "../store/tasks.ts";
import { decodePiece, type EncodedPiece } from "./verify.ts";

const piecesAtOnce = 8;

/** What a step of a task's newest attempt wrote. Throws ControlPlaneError `not-found` when there is no such task. */
export async function* readOutputOfTask(db: Db, taskId: string, step: number): AsyncGenerator<Buffer, void, undefined> {
  const task = await findTask(db, taskId);
  if (!task) throw new ControlPlaneError("not-found", `there is no task ${taskId}`);
  yield* readStepOutput(db, { taskId, attempt: task.attempt, step });
}

/** A step's output as bytes, both streams together in order of arrival. Holds a few pieces at a time. */
async function* readStepOutput(db: Db, key: StepKey): AsyncGenerator<Buffer, void, undefined> {
  for (let after = 0; ; ) {
    const rows = await readOutputPieces(db, key, { after, limit: piecesAtOnce });
    for (const row of rows) yield decodePiece(pieceOfRow(row));
    const last = rows.at(-1);
    if (!last) return;
    after = last.seq;
  }
}

export function pieceOfRow(row: Row<"event">): EncodedPiece {
  return {
    encoding: row.encoding === "zstd" ? "zstd" : "identity",
    length: row.length_bytes ?? 0,
    data: row.data ?? new Uint8Array(),
  };
}
