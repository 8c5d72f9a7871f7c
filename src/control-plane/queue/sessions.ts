import type { OpenSession } from "../../protocol/agent-api.ts";
import type { Context } from "../context.ts";
import { ControlPlaneError } from "../errors.ts";
import type { Row } from "../store/schema.ts";
import {
  type AgentKey,
  askedAgents,
  deleteSession,
  findSession,
  newestLeaseOf,
  putSession,
  updateSession,
} from "../store/sessions.ts";
import type { Unit } from "../store/store.ts";
import { topics } from "../topics.ts";

/** For a sign of life. Whoever lives calls again within about a second. */
const answerMs = 4_000;
const lookMs = 200;

export interface SessionRequest {
  queue: string;
  request: OpenSession;
  signal: AbortSignal;
}

/** What an agent that lives would have changed. */
interface Signs {
  session: string;
  seenMs: number;
  leaseMs: number;
}

/**
 * Makes a process the agent of its name. Throws ControlPlaneError `name-taken` while another process under it lives: that one's
 * calls are answered early, and it is given time to make new ones. One that is only cut off, and comes back later, keeps what
 * it has and was not adopted, and claims nothing more.
 */
export async function openSession(context: Context, { queue, request, signal }: SessionRequest): Promise<void> {
  const key = { queue, name: request.name };
  const asked = { key, session: request.session };
  const before = await context.store.transaction((unit) => ask(context, unit, { key, request }));
  if (before === undefined) return;
  const until = context.clock.monotonic() + answerMs;
  while (context.clock.monotonic() < until) {
    await context.clock.sleep(lookMs, signal);
    await context.store.transaction((unit) => expectSilence(unit, asked, before));
  }
  await context.store.transaction(async (unit) => {
    await expectSilence(unit, asked, before);
    await putSession(unit.db, rowOf(context, key, request));
  });
}

/** Undefined: there is nobody to be asked, and the session is open. */
async function ask(
  context: Context,
  unit: Unit,
  { key, request }: { key: AgentKey; request: OpenSession },
): Promise<Signs | undefined> {
  const row = await lockSession(unit, key);
  if (!row || row.session === request.session) {
    await putSession(unit.db, rowOf(context, key, request));
    return undefined;
  }
  await updateSession(unit.db, key, { asked_ms: context.clock.now() });
  unit.notify(topics.agent(key.queue, key.name));
  return await signsOf(unit, key, row);
}

async function expectSilence(
  unit: Unit,
  { key, session }: { key: AgentKey; session: string },
  before: Signs,
): Promise<void> {
  const row = await lockSession(unit, key);
  // It has gone by itself, or this very question was asked twice.
  if (!row || row.session === session) return;
  const now = await signsOf(unit, key, row);
  const isSilent = now.session === before.session && now.seenMs === before.seenMs && now.leaseMs <= before.leaseMs;
  if (!isSilent) throw nameTaken(row);
}

async function signsOf(unit: Unit, key: AgentKey, row: Row<"agent_session">): Promise<Signs> {
  return {
    session: row.session,
    seenMs: row.seen_ms ?? 0,
    leaseMs: await newestLeaseOf(unit.db, key, row.session),
  };
}

function rowOf(context: Context, key: AgentKey, request: OpenSession): Row<"agent_session"> {
  const { session, hostname } = request;
  return { ...key, session, hostname, opened_ms: context.clock.now(), asked_ms: null, seen_ms: null };
}

/** The process ends, and has no task any more. */
export async function closeSession(context: Context, queue: string, { name, session }: OpenSession): Promise<void> {
  await context.store.transaction((unit) => deleteSession(unit.db, { queue, name }, session));
}

/**
 * A process calls as the agent of this name: a sign of life, where it was asked for one. Throws ControlPlaneError `name-taken`
 * when another one is the agent.
 */
export async function showLife(context: Context, key: AgentKey, session: string | undefined): Promise<void> {
  if (session === undefined) return;
  const row = await findSession(context.store.db, key);
  if (row?.session === session && row.asked_ms === null) return;
  await context.store.transaction(async (unit) => {
    await expectSession(unit, key, session);
    await updateSession(unit.db, key, { asked_ms: null, seen_ms: context.clock.now() });
  });
}

/** Throws ControlPlaneError `name-taken` unless the process is the agent of its name. */
export async function expectSession(unit: Unit, key: AgentKey, session: string | undefined): Promise<void> {
  if (session === undefined) return;
  const row = await lockSession(unit, key);
  if (row?.session !== session) throw nameTaken(row);
}

async function lockSession(unit: Unit, key: AgentKey): Promise<Row<"agent_session"> | undefined> {
  await unit.lock(topics.agent(key.queue, key.name));
  return await findSession(unit.db, key);
}

/** Passes questions on that other processes of the control plane have asked. */
export async function passQuestionsOn(context: Pick<Context, "store" | "clock" | "notifier">): Promise<void> {
  const sinceMs = context.clock.now() - answerMs;
  for (const { queue, name } of await askedAgents(context.store.db, sinceMs))
    context.notifier.tell(topics.agent(queue, name));
}

function nameTaken(row: Row<"agent_session"> | undefined): ControlPlaneError {
  if (!row) return new ControlPlaneError("name-taken", "this process has no session: open one, then claim");
  const where = row.hostname === "" ? "" : ` on host ${row.hostname}`;
  return new ControlPlaneError(
    "name-taken",
    `another process${where} is the agent "${row.name}" of this class. Give every agent a name of its own, or stop the other one`,
  );
}
