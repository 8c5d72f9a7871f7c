import type { Client } from "./client.ts";
import { podmanWorkspaces, removeVolumeUnlessUsed } from "./podman.ts";
import { checkedName } from "./reference.ts";
import { saysRemovalInProgress } from "./words.ts";

/** Engines under load fail a removal now and then ("device or resource busy") and do it when asked again. */
const tries = 4;

/** Kills and removes a container with its own volumes, and waits until both are gone. */
export async function removeContainer(client: Client, id: string, signal: AbortSignal): Promise<void> {
  const what = `remove container ${id}`;
  const path = `/containers/${checkedName(id)}`;
  const workspaces = await workspacesOf(client, id, signal);
  const query = { force: "1", v: "1" };
  const request = { path, query, what, signal, timeoutMs: client.longCallTimeoutMs } as const;
  for (let left = tries - 1; ; left--) {
    const expected = left > 0 ? [404, 409, 500] : [404];
    const answer = await client.call({ ...request, method: "DELETE" }, expected);
    if (answer.status < 400 || answer.status === 404) break;
    if (saysRemovalInProgress(answer.body.toString("utf8"))) {
      await waitUntilGone(client, id, signal);
      break;
    }
  }
  for (const name of workspaces) await removeVolumeUnlessUsed(client, name, signal);
}

/** The workspaces that do not go with their container by themselves. */
async function workspacesOf(client: Client, id: string, signal: AbortSignal): Promise<string[]> {
  const { dialect } = await client.session(signal);
  return dialect.createMakesVolumes ? [] : await podmanWorkspaces(client, id, signal);
}

async function waitUntilGone(client: Client, id: string, signal: AbortSignal): Promise<void> {
  const path = `/containers/${checkedName(id)}/wait`;
  const request = { path, query: { condition: "removed" }, what: `wait until container ${id} is gone`, signal };
  await client.call({ ...request, method: "POST", timeoutMs: client.longCallTimeoutMs }, [404]);
}

/**
 * Runs `use`, then removes the helper container of this name. A failure is told at once and the removal goes on behind
 * it: an engine that does not answer must not hold the caller once more.
 */
export async function withHelper<T>(client: Client, name: string, use: () => Promise<T>): Promise<T> {
  const removal = new AbortController().signal;
  let result: T;
  try {
    result = await use();
  } catch (error) {
    removeContainer(client, name, removal).catch(() => {});
    throw error;
  }
  await removeContainer(client, name, removal);
  return result;
}
