import type { Clock } from "../../lib/clock.ts";
import type { ClaimRequest } from "../../protocol/agent-api.ts";
import type { AgentApi, Claim } from "../api/client.ts";
import { ApiFailure } from "../api/failure.ts";
import { retryPauseMs } from "../api/retry.ts";
import { errorFacts, type Log } from "../log.ts";
import { settledWithin } from "../task/or-abort.ts";
import type { Room } from "./capacity.ts";
import { isNameTaken } from "./identity.ts";
import type { ClaimTokens } from "./tokens.ts";

export interface ClaimLoopOptions {
  api: Pick<AgentApi, "claim">;
  /** The API's own token when not given. */
  tokens?: ClaimTokens;
  agent: { name: string; hostname: string; version: string };
  room: Room;
  /** How long the server may hold a claim. */
  waitMs: number;
  /** Before each call: resolves when there may be one, with a signal that fires when there may not any more. Rejects only when its own signal fires. */
  ready?: (signal: AbortSignal) => Promise<AbortSignal | undefined>;
  /** Which process this is; see ClaimRequest. */
  session?: string | undefined;
  /** Another process has this agent's name. */
  onNameTaken?: (error: ApiFailure) => void;
  /** Owns the task and its place from here on, and gives the place back. */
  onClaim: (claim: Claim) => void;
  /** After every answer, and every try that got none; `reached`: it has answered, and now holds the claim. */
  onAnswer?: (answer: ClaimAnswer) => void;
  clock: Clock;
  random: () => number;
  newId: () => string;
  log: Log;
  /** No new claims once it fires. */
  signal: AbortSignal;
}

export type ClaimAnswer = { result: "reached" | "task" | "none" } | { result: "failed" | "refused"; message: string };

/** The same complaint is written down this often. */
const complainMs = 60_000;
/** A server that answers at once that there is nothing is asked this often. */
const paceMs = 1_000;
/** Somebody waits for an agent that stops. */
const lastAnswerMs = 2_000;
/** Whoever has this agent's name may go at any time. */
const takenPaceMs = 2_000;
const firstPaceMs = 5_000;
const longestPaceMs = 60_000;
/** Of a task that has just been claimed, before the next one is asked for: in it a container that waits has got the task. */
const headStartMs = 10;

/** Claims tasks while there is room, one call at a time, until the signal fires. Never rejects. */
export async function claimTasks(options: ClaimLoopOptions): Promise<void> {
  const { room, signal } = options;
  while (!signal.aborted) {
    try {
      await room.takePlace(signal);
    } catch {
      return;
    }
    const claim = await claimOne(options);
    if (claim) {
      options.onClaim(claim);
      await rest(options, headStartMs);
    } else room.leavePlace();
  }
}

/** One claim under one id until it is answered: a task whose answer was lost is handed out again, to us. */
async function claimOne(options: ClaimLoopOptions): Promise<Claim | undefined> {
  const { agent, clock, signal, log, session } = options;
  const request = { ...agent, claim_id: options.newId(), wait_ms: options.waitMs, session };
  const complaints = new Complaints(options);
  let asked = false;
  for (let failures = 0; !signal.aborted; failures++) {
    const askedAt = clock.monotonic();
    let unready: AbortSignal | undefined;
    try {
      unready = await options.ready?.(signal);
      asked = true;
      const claim = await askOnce(request, options, unready);
      complaints.end();
      options.onAnswer?.({ result: claim ? "task" : "none" });
      if (claim?.warning) log.warn({ warning: claim.warning }, "the control plane warns");
      if (!claim) await rest(options, Math.min(paceMs, options.waitMs) - (clock.monotonic() - askedAt));
      return claim;
    } catch (error) {
      if (signal.aborted || unready?.aborted) break;
      if (isNameTaken(error)) options.onNameTaken?.(error);
      complaints.tell(error, failures + 1);
      await onFailure(error, failures, options);
    }
  }
  return asked ? await lastAnswer(request, options) : undefined;
}

/** The answer of a call that was cut off: a task that was handed out in that moment is ours all the same. */
async function lastAnswer(request: ClaimRequest, options: ClaimLoopOptions): Promise<Claim | undefined> {
  const { api, tokens, clock } = options;
  const late = new AbortController();
  const ask = async () =>
    await api.claim({ ...request, wait_ms: 0, repeat_only: true }, late.signal, await tokens?.usable(late.signal));
  const asking = ask().catch(() => undefined);
  const answered = await settledWithin(asking, lastAnswerMs, clock);
  late.abort(new Error("the agent stops"));
  return answered ? await asking : undefined;
}

async function askOnce(
  request: ClaimRequest,
  options: ClaimLoopOptions,
  unready: AbortSignal | undefined,
): Promise<Claim | undefined> {
  const { api, tokens, signal } = options;
  const usable = await tokens?.usable(signal);
  if (usable) options.onAnswer?.({ result: "reached" });
  // A call that is held would bring a task long after there was no place for it any more.
  return await api.claim(request, unready ? AbortSignal.any([signal, unready]) : signal, usable);
}

async function onFailure(error: unknown, failures: number, options: ClaimLoopOptions): Promise<void> {
  const { tokens, random } = options;
  const failure = error instanceof ApiFailure ? error : undefined;
  tokens?.doubt();
  options.onAnswer?.({ result: failure?.refusesToken ? "refused" : "failed", message: errorFacts(error).error });
  const pauseMs = retryPauseMs(failures, failure?.retryAfterMs, random);
  await rest(options, Math.max(pauseMs, paceAfter(error, failures) * (0.5 + random() / 2)));
}

/** What will not pass by itself (a wrong token, say) is asked about more and more slowly. */
function paceAfter(error: unknown, failures: number): number {
  if (isNameTaken(error)) return takenPaceMs;
  const passes = !(error instanceof ApiFailure) || error.retryable;
  return passes ? 0 : Math.min(longestPaceMs, firstPaceMs * 2 ** failures);
}

/** A control plane that is away for hours is worth a line a minute, not one a try. */
class Complaints {
  readonly #options: ClaimLoopOptions;
  #last: { message: string; atMs: number } | undefined;

  constructor(options: ClaimLoopOptions) {
    this.#options = options;
  }

  tell(error: unknown, failures: number): void {
    const { clock, log } = this.#options;
    const facts = errorFacts(error);
    const atMs = clock.monotonic();
    if (this.#last?.message === facts.error && atMs - this.#last.atMs < complainMs) return;
    this.#last = { message: facts.error, atMs };
    log.warn({ failures, ...facts }, "claiming failed, trying again");
  }

  end(): void {
    if (this.#last) this.#options.log.info({}, "the control plane answers again");
    this.#last = undefined;
  }
}

async function rest(options: ClaimLoopOptions, ms: number): Promise<void> {
  if (ms > 0) await options.clock.sleep(ms, options.signal).catch(() => undefined);
}
