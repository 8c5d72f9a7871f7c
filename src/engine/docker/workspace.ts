import { posix } from "node:path";
import type { ContainerPlan } from "../engine.ts";
import { CreatedAnswer, checked } from "./answers.ts";
import type { Client } from "./client.ts";
import { workspaceOwner } from "./create-body.ts";
import { withHelper } from "./remove.ts";
import { directoryArchive } from "./tar.ts";

interface Created {
  id: string;
  plan: ContainerPlan;
  helperLabels: () => Readonly<Record<string, string>>;
}

/**
 * Gives the workspace of a new container to its owner: new volumes belong to root. Unpacking its directory once more
 * over itself does it, with no process in the container. Where root owns it, or the image knew its owner, costs no call.
 */
export async function giveWorkspace(client: Client, created: Created, signal: AbortSignal): Promise<void> {
  const { id, plan } = created;
  const { workspace } = plan;
  if (workspace === undefined || workspace.medium === "memory" || workspace.prepared === true) return;
  const owner = workspaceOwner(plan.isolation, workspace);
  if (owner.uid === 0 && owner.gid === 0) return;
  const archive = await directoryArchive(posix.basename(workspace.path), owner);
  const query = { path: posix.dirname(workspace.path) };
  const what = `give the workspace of ${plan.name} to ${owner.uid}:${owner.gid}`;
  const put = async (container: string): Promise<void> => {
    await client.call({ method: "PUT", path: `/containers/${container}/archive`, query, archive, what, signal });
  };
  if (plan.isolation === "strict") await withWritableTwin(client, created, put);
  else await put(id);
}

/**
 * Engines unpack nothing into a container with a read-only root, so a second one, never started, lends its own. It is a helper: with
 * the labels of the plan a crash would leave two containers that say they are the same.
 */
async function withWritableTwin(
  client: Client,
  { id, plan, helperLabels }: Created,
  use: (twin: string) => Promise<void>,
): Promise<void> {
  const signal = new AbortController().signal;
  const name = `${plan.name}.twin`;
  const body = {
    Image: plan.image,
    Entrypoint: ["/nothing"],
    Labels: { ...helperLabels() },
    NetworkDisabled: true,
    HostConfig: { NetworkMode: "none", CapDrop: ["ALL"], LogConfig: { Type: "none" }, VolumesFrom: [id] },
  };
  const what = `create container ${name}`;
  const request = { method: "POST", path: "/containers/create", query: { name }, body, what, signal } as const;
  await withHelper(client, name, async () => {
    const answer = await client.json({ ...request, timeoutMs: client.longCallTimeoutMs });
    await use(checked(CreatedAnswer, answer, what).Id);
  });
}
