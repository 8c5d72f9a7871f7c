import { randomUUID } from "node:crypto";
import type { ControlPlane, Route } from "../../src/control-plane/control-plane.ts";
import { type LaunchAgent, startLaunchAgent } from "../../src/launch-agent/index.ts";
import { type AgentChanges, anAgent } from "../fakes/launch-agents.ts";
import { testRoute } from "../fakes/temporary-control-plane.ts";

const mebibyte = 1024 ** 2;

/** Room for what small jobs do with real programs. */
export const roomyRoute: Route = {
  ...testRoute,
  limits: {
    ...testRoute.limits,
    memoryBytes: 512 * mebibyte,
    pids: 500,
    openFiles: 4096,
    workspaceBytes: 512 * mebibyte,
    outputBytes: 64 * mebibyte,
  },
};

/** A launch agent of this process that claims what goes to the route's class, over a socket at this path. */
export async function startAgentOf(
  controlPlane: ControlPlane,
  { socketPath, ...options }: AgentChanges & { socketPath: string },
): Promise<LaunchAgent> {
  const { url } = await controlPlane.listen({ socketPath });
  await controlPlane.putResourceClass({ name: roomyRoute.queue });
  const token = await controlPlane.createToken(roomyRoute.queue, "test");
  const name = `test-${randomUUID().slice(0, 8)}`;
  return startLaunchAgent({ ...anAgent, name, api: { baseUrl: url, socketPath, token }, ...options });
}
