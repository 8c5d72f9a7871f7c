import type { Work } from "../../protocol/task.ts";
import type { Ground } from "./ground.ts";
import type { TaskLink } from "./link.ts";
import { settledWithin } from "./or-abort.ts";
import type { TaskSession } from "./session.ts";

export interface Offer {
  /** Of the container that waits. */
  id: string;
  session: TaskSession;
  link: TaskLink;
  work: Work;
  proof: string;
}

/**
 * Offers a task to a container that waits. Resolves once the task agent has it, or surely has not and never will. Rejects
 * where that cannot be told, or where the task was taken over too late: then it may have begun, and must not begin again.
 */
export async function offerTask(offer: Offer, ground: Ground): Promise<"accepted" | "refused"> {
  const { id, session, link } = offer;
  const { limits, clock } = ground;
  link.handOver(offer.work, offer.proof);
  await settledWithin(Promise.race([link.accepted, session.ended]), limits.handOverMs, clock);
  if (link.begun) return "accepted";
  const isSilent = await silence(id, session, ground);
  // It tells of a step before it begins one: a task that was accepted in its last moment, and no more, has not begun.
  if (isSilent && !link.hasRecords) return "refused";
  throw new Error("the container that waited did not take the task over in time, and was killed");
}

/** Has nothing run in it any more, and all read that it said. False where that cannot be had in time. Never rejects. */
export async function silence(id: string, session: TaskSession, ground: Ground): Promise<boolean> {
  const { engine, limits, clock } = ground;
  // Not under the task's signal, which may have ended before.
  const killed = engine.kill(id, new AbortController().signal).then(() => true);
  const isKilled = (await settledWithin(killed, limits.drainMs, clock)) && (await killed.catch(() => false));
  return (await settledWithin(session.ended, limits.drainMs, clock)) && isKilled;
}
