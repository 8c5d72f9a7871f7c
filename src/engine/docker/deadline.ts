import { EngineError } from "../engine.ts";

export interface Deadline {
  signal: AbortSignal;
  /** Undefined: no limit but the signal. */
  timeoutMs: number | undefined;
  /** What is waited for, for the message. */
  what: string;
}

/**
 * Runs `work` until it settles, the signal aborts (`aborted`) or the time is over (`unreachable`), whichever is first.
 * Never waits for work that does not heed its signal.
 */
export async function withDeadline<T>(deadline: Deadline, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { signal, timeoutMs, what } = deadline;
  if (signal.aborted) throw abortedError(what, signal.reason);
  const inner = new AbortController();
  const { promise: ended, reject } = Promise.withResolvers<never>();
  ended.catch(() => {});
  function end(error: EngineError): void {
    reject(error);
    inner.abort(error);
  }
  const onAbort = (): void => end(abortedError(what, signal.reason));
  signal.addEventListener("abort", onAbort, { once: true });
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => end(new EngineError("unreachable", silence(what, timeoutMs))), timeoutMs);
  try {
    const working = work(inner.signal);
    working.catch(() => {});
    return await Promise.race([working, ended]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

function abortedError(what: string, cause: unknown): EngineError {
  return new EngineError("aborted", `${what}: given up by the caller`, { cause });
}

function silence(what: string, timeoutMs: number): string {
  return `${what}: the engine did not answer within ${timeoutMs / 1000} s. Look whether it still works: docker info.`;
}
