import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../../lib/clock.ts";
import { Secret } from "../../lib/secret.ts";

import { ControlPlaneError } from "../errors.ts";
import { isTaskEnd } from "../pipelines/status.ts";
import { findClassToken, findTaskToken } from "../store/access.ts";
import type { Row } from "../store/schema.ts";
import type { Db } from "../store/store.ts";
import { findTask } from "../store/tasks.ts";

const tokenBytes = 32;

/** A token, and what is kept of it. */
export function newToken(): { token: Secret; hash: string } {
  const value = randomBytes(tokenBytes).toString("base64url");
  return { token: new Secret(value), hash: hashToken(value) };
}

export function hashToken(value: string): string {
  return createHash("sha256").update(value).digest("hex");
}

/** The class that a claiming token is for. Throws ControlPlaneError `unauthorized`. */
export async function authenticateClass(db: Db, authorization: string | undefined): Promise<string> {
  const hash = hashToken(bearer(authorization));
  const row = await findClassToken(db, hash);
  if (!row || !sameHash(row.hash, hash)) throw unknownToken("resource-class");
  return row.resource_class;
}

/** What was on its way when a task ended, such as the other lane's last records, is still taken for so long. */
const lateMs = 60_000;

/**
 * The task that a token stands for, when its attempt is the present one and has not ended. Throws ControlPlaneError: `unauthorized` for a token that
 * is none of ours, or whose task is over; `stale-attempt` when the task was taken away from this attempt.
 */
export async function authenticateTask(db: Db, authorization: string | undefined): Promise<Row<"task">> {
  const task = await taskOfToken(db, bearer(authorization));
  if (isTaskEnd(task.status)) throw taskIsOver(task.id);
  return task;
}

/** The same, where a call may come, or come again, for a while after the end. */
export async function authenticateLateTask(
  { store, clock }: { store: { db: Db }; clock: Pick<Clock, "now"> },
  authorization: string | undefined,
): Promise<Row<"task">> {
  const task = await taskOfToken(store.db, bearer(authorization));
  if (task.ended_ms !== null && clock.now() - task.ended_ms > lateMs) throw taskIsOver(task.id);
  return task;
}

/** The same with the bare token, however long ago the task ended. */
export async function taskOfToken(db: Db, token: string): Promise<Row<"task">> {
  const hash = hashToken(token);
  const known = await findTaskToken(db, hash);
  if (!known || !sameHash(known.hash, hash)) throw unknownToken("task");
  const task = await findTask(db, known.task_id);
  if (!task) throw unknownToken("task");
  if (task.attempt !== known.attempt || task.session !== known.session || task.fenced === 1 || task.status === "queued")
    throw notHeld(task, { id: task.id, attempt: known.attempt, session: known.session });
  return task;
}

export function taskIsOver(taskId: string): ControlPlaneError {
  return new ControlPlaneError("unauthorized", `task ${taskId} is over: its token is good for nothing any more`);
}

/** Why it is not theirs any more: another attempt, or another process of their agent that goes on with this one. */
export function notHeld(now: Row<"task"> | undefined, then: Pick<Row<"task">, "id" | "attempt" | "session">): Error {
  const isAdopted = now?.attempt === then.attempt && now.session !== then.session;
  if (!isAdopted) return staleAttempt(then.id, then.attempt);
  return new ControlPlaneError(
    "adopted",
    `another process of the agent ${now.agent ?? ""} goes on with attempt ${then.attempt} of task ${then.id}: leave it, and its containers, alone`,
  );
}

function staleAttempt(taskId: string, attempt: number): ControlPlaneError {
  return new ControlPlaneError(
    "stale-attempt",
    `attempt ${attempt} of task ${taskId} is over: its lease ran out or it was given back. Nothing more is taken from it; end it`,
  );
}

function bearer(authorization: string | undefined): string {
  const match = /^Bearer ([\w~+/.=-]{1,512})$/i.exec(authorization ?? "");
  if (!match?.[1])
    throw new ControlPlaneError("unauthorized", "no token: send it as the header `Authorization: Bearer TOKEN`");
  return match[1];
}

export function sameHash(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(one, "hex"), Buffer.from(other, "hex"));
}

function unknownToken(kind: "resource-class" | "task"): ControlPlaneError {
  const hint = kind === "task" ? "it comes with a claim" : "it is mistyped, or its class was taken away";
  return new ControlPlaneError("unauthorized", `this is no ${kind} token of this control plane; ${hint}`);
}
