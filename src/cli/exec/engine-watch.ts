import { type Engine, isEngineError } from "../../engine/engine.ts";
import type { Clock } from "../../lib/clock.ts";

const everyMs = 1000;
/** An engine that restarts is back within this; one that is only busy answers late, but answers. */
const patienceMs = 5000;

/** Aborts when the engine has not been there for `patienceMs`, so that a run does not wait for an engine that is gone. */
export function watchEngine(engine: Engine, clock: Clock, signal: AbortSignal): AbortSignal {
  const lost = new AbortController();
  const watch = async () => {
    let gone: number | undefined;
    while (!signal.aborted && !lost.signal.aborted) {
      await clock.sleep(everyMs, signal);
      try {
        await engine.info(signal);
        gone = undefined;
      } catch (error) {
        if (signal.aborted || !isEngineError(error, "unreachable")) continue;
        gone ??= clock.monotonic();
        if (clock.monotonic() - gone >= patienceMs) lost.abort(error.message);
      }
    }
  };
  watch().catch(() => {});
  return lost.signal;
}
