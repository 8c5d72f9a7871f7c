import { connect } from "node:net";
import { join } from "node:path";
import type { Engine, OwnedObject } from "../../engine/engine.ts";
import { label } from "../../launch-agent/plan/labels.ts";

const roles = ["task", "service", "pool", "sandbox", "helper"];

/**
 * Removes what runs of this user on this host left behind when they were killed. A run is alive while its socket answers;
 * what belongs to other users, other hosts and to fleet agents is never touched. Gives the number of removed objects.
 */
export async function removeLeftovers(
  engine: Engine,
  owner: { prefix: string; runtimeDirectory: string },
  signal: AbortSignal,
): Promise<number> {
  const found = (await Promise.all(roles.map((role) => engine.list({ [label.role]: role }, signal)))).flat();
  const mine = found.filter((object) => agentOf(object).startsWith(owner.prefix));
  const agents = [...new Set(mine.map(agentOf))];
  const alive = await Promise.all(agents.map((agent) => isAlive(join(owner.runtimeDirectory, agent))));
  const dead = new Set(agents.filter((_, at) => !alive[at]));
  const orphans = mine.filter((object) => dead.has(agentOf(object)));
  // Containers first: a volume cannot go while one has it mounted.
  for (const object of orphans.sort((a, b) => a.kind.localeCompare(b.kind))) await engine.removeObject(object, signal);
  return orphans.length;
}

/** Its control plane serves, or is still being opened. */
async function isAlive(path: string): Promise<boolean> {
  return (await answers(`${path}.up`)) || (await answers(`${path}.sock`));
}

function agentOf(object: OwnedObject): string {
  return object.labels[label.agent] ?? "";
}

/** Whether somebody serves this socket. */
export async function answers(socketPath: string): Promise<boolean> {
  const socket = connect(socketPath);
  return await new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
  }).finally(() => socket.destroy());
}
