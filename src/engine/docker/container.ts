import { type Attachment, type ContainerPlan, type ContainerState, EngineError, type Exit } from "../engine.ts";
import { CreatedAnswer, checked, InspectAnswer, WaitAnswer } from "./answers.ts";
import { attachmentOf } from "./attach.ts";
import type { Client } from "./client.ts";
import { createBody } from "./create-body.ts";
import { createWorkspaceVolume, podmanBody, removeWorkspaceVolume } from "./podman.ts";
import { checkedName, checkedReference } from "./reference.ts";
import { removeContainer } from "./remove.ts";
import { parseJson } from "./transport.ts";
import { giveWorkspace } from "./workspace.ts";

/** Makes the container, and gives its workspace to its owner. What was made is removed when the second part fails. */
export async function createContainer(
  client: Client,
  plan: ContainerPlan,
  { signal, helperLabels }: { signal: AbortSignal; helperLabels: () => Readonly<Record<string, string>> },
): Promise<string> {
  checkedReference(plan.image);
  const { dialect } = await client.session(signal);
  const common = createBody(plan, dialect);
  if (!dialect.createMakesVolumes) return await createOnPodman(client, plan, podmanBody(plan, common), signal);
  const id = await callCreate(client, plan, common, signal);
  try {
    await giveWorkspace(client, { id, plan, helperLabels }, signal);
  } catch (error) {
    await removeContainer(client, id, new AbortController().signal);
    throw error;
  }
  return id;
}

/** Its workspace comes first, with its owner. */
async function createOnPodman(client: Client, plan: ContainerPlan, body: object, signal: AbortSignal): Promise<string> {
  await createWorkspaceVolume(client, plan, signal);
  try {
    return await callCreate(client, plan, body, signal);
  } catch (error) {
    await removeWorkspaceVolume(client, plan.name, new AbortController().signal);
    throw error;
  }
}

async function callCreate(client: Client, plan: ContainerPlan, body: object, signal: AbortSignal): Promise<string> {
  const what = `create container ${plan.name}`;
  const query = { name: checkedName(plan.name) };
  const timeoutMs = client.longCallTimeoutMs;
  const request = { method: "POST", path: "/containers/create", query, body, what, signal, timeoutMs } as const;
  return checked(CreatedAnswer, await client.json({ ...request, situation: "start" }), what).Id;
}

export async function attachContainer(client: Client, id: string, signal: AbortSignal): Promise<Attachment> {
  const { transport, dialect } = await client.session(signal);
  const what = `attach to container ${id}`;
  // Podman makes one that has ended ready for another start.
  if (dialect.kind === "podman" && (await inspectContainer(client, id, signal))?.phase === "ended")
    throw new EngineError("failed", `${what}: it has ended`);
  const path = `/containers/${checkedName(id)}/attach`;
  const query = { stream: "1", stdin: "1", stdout: "1", stderr: "1" };
  return attachmentOf(await transport.hijack({ method: "POST", path, query, what, signal }), id);
}

export async function startContainer(client: Client, id: string, signal: AbortSignal): Promise<void> {
  const what = `start container ${id}`;
  const path = `/containers/${checkedName(id)}/start`;
  const timeoutMs = client.longCallTimeoutMs;
  await client.call({ method: "POST", path, what, signal, timeoutMs, situation: "start" });
}

export async function waitContainer(client: Client, id: string, signal: AbortSignal): Promise<Exit> {
  const what = `wait for container ${id}`;
  const path = `/containers/${checkedName(id)}/wait`;
  const answer = await client.json({ method: "POST", path, what, signal, timeoutMs: "none" });
  const { StatusCode, Error: refusal } = checked(WaitAnswer, answer, what);
  const state = await inspected(client, id, signal);
  const words = refusal?.Message || state?.State.Error || "";
  return {
    code: StatusCode,
    outOfMemory: state?.State.OOMKilled ?? false,
    ...(words === "" ? {} : { error: words }),
  };
}

export async function inspectContainer(
  client: Client,
  id: string,
  signal: AbortSignal,
): Promise<ContainerState | undefined> {
  const answer = await inspected(client, id, signal);
  if (answer === undefined) return undefined;
  const name = answer.Name.replace(/^\//, "");
  return { id: answer.Id, name, running: answer.State.Running, phase: phaseOf(answer), labels: answer.Config.Labels };
}

function phaseOf({ State }: InspectAnswer): ContainerState["phase"] {
  if (State.Paused === true) return "paused";
  if (State.Running) return "running";
  // Podman has its own words for what was made and not started.
  return ["created", "configured", "initialized"].includes(State.Status ?? "") ? "created" : "ended";
}

export async function killContainer(client: Client, id: string, signal: AbortSignal): Promise<void> {
  const { dialect } = await client.session(signal);
  const what = `kill container ${id}`;
  const path = `/containers/${checkedName(id)}/kill`;
  const request = { path, query: { signal: "KILL" }, what, signal, timeoutMs: client.longCallTimeoutMs };
  const answer = await client.call({ ...request, method: "POST" }, dialect.notRunningStatuses);
  if (answer.status < 400 || dialect.kind !== "podman") return;
  // Podman's words for "does not run" are its words for everything: only the state tells. It kills nothing that is paused.
  const state = await inspected(client, id, signal);
  if (state?.State.Paused === true) {
    await client.call({ method: "POST", path: `/containers/${checkedName(id)}/unpause`, what, signal });
    return await killContainer(client, id, signal);
  }
  if (state?.State.Running === true) throw new EngineError("failed", `${what}: ${answer.body.toString("utf8").trim()}`);
}

async function inspected(client: Client, id: string, signal: AbortSignal): Promise<InspectAnswer | undefined> {
  const what = `inspect container ${id}`;
  const path = `/containers/${checkedName(id)}/json`;
  const answer = await client.call({ method: "GET", path, what, signal }, [404]);
  return answer.status === 404 ? undefined : checked(InspectAnswer, parseJson(answer.body, what), what);
}
