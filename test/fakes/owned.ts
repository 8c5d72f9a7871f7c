import type { DummyEngine } from "../../src/engine/dummy/index.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { anAgent } from "./launch-agents.ts";

const never = new AbortController().signal;

/** Ids of all that an agent has on the engine. */
export async function ownedBy(engine: Engine, agent = anAgent.name): Promise<string[]> {
  const objects = await engine.list({ "dev.cofferdam.agent": agent }, never);
  return objects.map(({ id }) => id);
}

/** Ids of its containers of this role that run. */
export async function runningOf(engine: Engine, role: string, agent = anAgent.name): Promise<string[]> {
  const objects = await engine.list({ "dev.cofferdam.agent": agent, "dev.cofferdam.role": role }, never);
  return objects.filter(({ kind, running }) => kind === "container" && running).map(({ id }) => id);
}

/** Throws where an agent has left something on the engine, or used it wrongly. */
export async function assertClean(engine: DummyEngine): Promise<void> {
  const left = await ownedBy(engine);
  if (left.length > 0) throw new Error(`left behind: ${left.join(" ")}`);
  if (engine.callerErrors.length > 0) throw engine.callerErrors[0];
}
