import type { LockClaim } from "../store/locks.ts";
import type { PipelineEvent } from "./state.ts";

/** How long a job waits for a lock before it is canceled. CircleCI's limit. */
export const lockWaitMs = 5 * 60 * 60_000;

export interface LockVerdict {
  pipelineId: string;
  event: Extract<PipelineEvent, { type: "lock-granted" | "lock-taken" | "lock-refused" }>;
}

export interface Lock {
  key: string;
  /** In order of asking. */
  claims: readonly LockClaim[];
  /** By project, the number of the newest pipeline that had it before. */
  newestHolders: ReadonlyMap<string, number>;
  nowMs: number;
}

/**
 * What becomes of those who wait for one lock: first come, first served; but of one project an older pipeline does not run after
 * a newer one has come to it. Pure.
 */
export function judgeLock({ key, claims, newestHolders, nowMs }: Lock): LockVerdict[] {
  let holder = claims.find(({ state }) => state === "held");
  return claims
    .filter(({ state }) => state === "waiting")
    .map((claim): LockVerdict => {
      const { job, pipelineId } = claim;
      const refusal = refuse(claim, { key, claims, newestHolders, nowMs });
      if (refusal) return { pipelineId, event: { type: "lock-refused", job, ...refusal } };
      if (holder) {
        const reason = `waits for the lock "${key}", which job ${holder.name} of pipeline ${holder.pipelineNumber} (${holder.project}) has or gets first`;
        return { pipelineId, event: { type: "lock-taken", job, reason } };
      }
      holder = claim;
      return { pipelineId, event: { type: "lock-granted", job } };
    });
}

function refuse(
  claim: LockClaim,
  { key, claims, newestHolders, nowMs }: Lock,
): { status: "not_run" | "canceled"; reason: string } | undefined {
  const ofProject = claims.filter(({ project }) => project === claim.project).map((other) => other.pipelineNumber);
  const newest = Math.max(newestHolders.get(claim.project) ?? 0, ...ofProject);
  if (newest > claim.pipelineNumber)
    return {
      status: "not_run",
      reason: `pipeline ${newest} of this project is newer and has come to the lock "${key}" before`,
    };
  if (nowMs - claim.askedMs < lockWaitMs) return undefined;
  return {
    status: "canceled",
    reason: `waited for the lock "${key}" for ${lockWaitMs / 3_600_000} hours, which is the limit`,
  };
}
