import type { Work } from "../../protocol/task.ts";
import type { Ground } from "./ground.ts";
import { settledWithin } from "./or-abort.ts";
import type { TaskSession } from "./session.ts";

export interface Offer {
  /** Of the container that waits. */
  id: string;
  session: TaskSession;
  work: Work;
  /** Settles when the task agent has taken the task over; it may never. */
  accepted: Promise<void>;
  hasBegun: () => boolean;
}

/**
 * Offers a task to a container that waits. Resolves once the task agent has it, or surely has not and never will. Rejects
 * where that cannot be told, or where the task was taken over too late: then it may have begun, and must not begin again.
 */
export async function offerTask(offer: Offer, ground: Ground): Promise<"accepted" | "refused"> {
  const { id, session, hasBegun } = offer;
  const { limits, clock } = ground;
  session.handOver(offer.work);
  await settledWithin(Promise.race([offer.accepted, session.ended]), limits.handOverMs, clock);
  if (hasBegun()) return "accepted";
  const isSilent = await silence(id, session, ground);
  if (isSilent && !hasBegun()) return "refused";
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
