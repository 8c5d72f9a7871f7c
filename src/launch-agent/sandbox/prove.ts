import { isEngineError } from "../../engine/engine.ts";
import { Network } from "../../protocol/task.ts";
import { errorFacts } from "../log.ts";
import type { SandboxedGround } from "./enter.ts";

/**
 * Better no task than one that is not closed off: told before the first is claimed. An engine that is away in this moment is waited for.
 * Rejects where sandboxes are required and cannot be had.
 */
export async function proveSandboxes(ground: SandboxedGround, signal: AbortSignal): Promise<void> {
  const { sandboxes, log } = ground;
  if (sandboxes.mode === "off") {
    log.warn({}, "sandboxes are off: tasks reach each other, this host and its metadata through the engine's bridge");
    return;
  }
  try {
    await tryWhileAway(ground, signal);
  } catch (error) {
    if (signal.aborted) return;
    if (sandboxes.mode === "required") throw error;
    log.warn(errorFacts(error), "tasks run on the engine's default bridge, without rules");
  }
}

async function tryWhileAway(
  { sandboxes, presence, limits, clock }: SandboxedGround,
  signal: AbortSignal,
): Promise<void> {
  const giveUpAt = clock.monotonic() + limits.engineAwayMs;
  for (;;) {
    try {
      await sandboxes.prove(Network.parse({}));
      return;
    } catch (error) {
      const { cause } = error as Error;
      const isAway = isEngineError(error, "unreachable") || isEngineError(cause, "unreachable");
      // Another agent makes the same network in this moment.
      const passes = isAway || isEngineError(error, "conflict") || isEngineError(cause, "conflict");
      if (!passes || clock.monotonic() > giveUpAt) throw error;
      if (isAway) presence.lost(error);
      await clock.sleep(limits.engineRestMs, signal);
      await presence.back(signal);
    }
  }
}
