import { zstdDecompressSync } from "node:zlib";
import type { Lane, RecordBody, TaskEnded } from "../../src/protocol/records.ts";
import type { Task } from "../../src/protocol/task.ts";

export interface StoredRecord {
  lane: Lane;
  seq: number;
  record: RecordBody;
  body: Buffer;
}

/** A task of the fake control plane, and what was told of it. */
export interface FakeTask {
  task: Task;
  token: string;
  records: StoredRecord[];
  heartbeats: number;
  unclaimed: string[];
  /** Set by a test: the next heartbeat says so. */
  cancel?: string;
  /** Set by a test: every call is answered 409 `stale-attempt`. */
  stale?: boolean;
  /** The class that it is queued for; undefined: any. */
  resourceClass?: string | undefined;
  /** Of the process that has it. */
  session?: string | undefined;
}

/** How it ended, as the lane says, or whichever says it. Undefined while it goes on. */
export function endOf(task: FakeTask, lane?: Lane): TaskEnded | undefined {
  for (const stored of task.records)
    if (stored.record.type === "task-ended" && (lane ?? stored.lane) === stored.lane) return stored.record;
  return undefined;
}

/** Output of one lane, of one step of it, or all that there is, decoded. */
export function outputOf(task: FakeTask, { lane, step }: { lane?: Lane; step?: number } = {}): Buffer {
  const pieces = task.records.flatMap(({ record, body, ...stored }) => {
    if (record.type !== "output" || (lane ?? stored.lane) !== stored.lane) return [];
    if ((step ?? record.step) !== record.step) return [];
    return [record.encoding === "zstd" ? zstdDecompressSync(body) : body];
  });
  return Buffer.concat(pieces);
}

/** The same as text. */
export function said(task: FakeTask, of: { lane?: Lane; step?: number } = {}): string {
  return outputOf(task, of).toString();
}
