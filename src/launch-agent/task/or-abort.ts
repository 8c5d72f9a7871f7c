/** The promise's value, unless the signal fires first: then its reason, while the work itself goes on. */
export async function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** True when the promise settled within the time; never rejects. The clock's sleep is cut short when it did. */
export async function settledWithin(
  promise: Promise<unknown>,
  ms: number,
  clock: { sleep(ms: number, signal?: AbortSignal): Promise<void> },
): Promise<boolean> {
  const done = new AbortController();
  const settled = promise.then(
    () => true,
    () => true,
  );
  const late = clock.sleep(ms, done.signal).then(
    () => false,
    () => false,
  );
  try {
    return await Promise.race([settled, late]);
  } finally {
    done.abort();
  }
}
