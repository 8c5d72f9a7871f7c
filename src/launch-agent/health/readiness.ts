import type { Engine } from "../../engine/engine.ts";
import type { Clock } from "../../lib/clock.ts";
import type { AgentStatus } from "../launch-agent.ts";
import { settledWithin } from "../task/or-abort.ts";

/** Whether this agent could take a task now, and why not. */
export interface Readiness {
  ready: boolean;
  reasons: string[];
  running: number;
  capacity: number;
  classes: string[];
}

export interface ReadinessOptions {
  status: () => AgentStatus;
  engine: Pick<Engine, "info">;
  clock: Clock;
}

/** An engine that was asked this recently is not asked again: probes come from several sides. */
const askAgainMs = 5_000;
const engineTimeoutMs = 3_000;

/** Answers whether an agent is ready, and asks its engine for that, now and then. */
export function readiness(options: ReadinessOptions): () => Promise<Readiness> {
  const { status, clock } = options;
  let asked: { atMs: number; problem: Promise<string | undefined> } | undefined;
  return async () => {
    if (asked === undefined || clock.monotonic() - asked.atMs > askAgainMs)
      asked = { atMs: clock.monotonic(), problem: engineProblem(options) };
    const problem = await asked.problem;
    const { controlPlane, ending, running, capacity, classes, disk } = status();
    const reasons = [
      ...(ending === undefined ? [] : [`taking no new tasks: ${ending === "drained" ? "draining" : ending}`]),
      ...(problem === undefined ? [] : [`engine: ${problem}`]),
      ...(disk?.problem === undefined ? [] : [`disk: ${disk.problem}`]),
      ...(controlPlane.reached ? [] : [`control plane: ${controlPlane.message ?? "not reached"}`]),
    ];
    return { ready: reasons.length === 0, reasons, running, capacity: capacity.tasks, classes };
  };
}

async function engineProblem({ engine, clock }: ReadinessOptions): Promise<string | undefined> {
  const abort = new AbortController();
  let problem: string | undefined;
  const asked = engine.info(abort.signal).then(
    () => undefined,
    (error: unknown) => {
      problem = error instanceof Error ? error.message : String(error);
    },
  );
  const answered = await settledWithin(asked, engineTimeoutMs, clock);
  abort.abort(new Error("nobody waits any more"));
  return answered ? problem : "does not answer";
}
