/** A signal that fires with the given one, or after so many milliseconds. `clear` when the work is done. */
export interface Deadline {
  signal: AbortSignal;
  expired(): boolean;
  clear(): void;
}

export function startDeadline(ms: number, parent: AbortSignal): Deadline {
  const controller = new AbortController();
  let expired = false;
  const stop = () => controller.abort(parent.reason);
  if (parent.aborted) stop();
  parent.addEventListener("abort", stop, { once: true });
  const timer = setTimeout(() => {
    expired = true;
    controller.abort(new Error(`no answer within ${ms} ms`));
  }, ms);
  return {
    signal: controller.signal,
    expired: () => expired,
    clear() {
      clearTimeout(timer);
      parent.removeEventListener("abort", stop);
    },
  };
}
