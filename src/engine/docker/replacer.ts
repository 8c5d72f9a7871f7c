import { EngineError } from "../engine.ts";
import type { ContainerCopy, OwnContainer, Replacer } from "../replacer.ts";
import type { EngineAddress } from "./address.ts";
import { CreatedAnswer, checked } from "./answers.ts";
import { Client } from "./client.ts";
import { CopiedAnswer, copyBody, ImageConfigAnswer } from "./copy-body.ts";
import { imageIdOf } from "./dialect.ts";
import { checkedName, checkedReference } from "./reference.ts";
import { removeContainer } from "./remove.ts";
import { parseJson } from "./transport.ts";

export function createDockerReplacer(options: { address: EngineAddress; callTimeoutMs?: number }): Replacer {
  const client = new Client({ address: options.address, callTimeoutMs: options.callTimeoutMs ?? 30_000 });
  return {
    look: async (id, signal) => {
      const container = await inspected(client, id, signal);
      return container && ownContainer(container);
    },
    copy: async (id, copy, signal) => await copyContainer(client, id, copy, signal),
    stop: async (id, graceMs, signal) => await stopContainer(client, { id, graceMs }, signal),
    rename: async (id, name, signal) => {
      const [path, query] = [`/containers/${checkedName(id)}/rename`, { name: checkedName(name) }];
      await client.call({ method: "POST", path, query, what: `rename container ${id} to ${name}`, signal });
    },
    setRestartPolicy: async (id, policy, signal) => {
      const [path, body] = [`/containers/${checkedName(id)}/update`, { RestartPolicy: { Name: policy } }];
      await client.call({ method: "POST", path, body, what: `set the restart policy of container ${id}`, signal });
    },
  };
}

async function copyContainer(client: Client, id: string, copy: ContainerCopy, signal: AbortSignal): Promise<string> {
  const container = await inspected(client, id, signal);
  const what = `copy container ${id}`;
  if (container === undefined) throw new EngineError("not-found", `${what}: it is gone`);
  const oldImage = await imageConfig(client, container.Image, signal);
  const { image, environment } = copy;
  const { body, networks } = copyBody({ container, oldImage, image, environment });
  const query = { name: checkedName(copy.name) };
  const timeoutMs = client.longCallTimeoutMs;
  const create = { method: "POST", path: "/containers/create", query, body, what, signal, timeoutMs } as const;
  const { Id } = checked(CreatedAnswer, await client.json(create), what);
  try {
    for (const [network, EndpointConfig] of Object.entries(networks)) {
      const path = `/networks/${encodeURIComponent(network)}/connect`;
      await client.call({ method: "POST", path, body: { Container: Id, EndpointConfig }, what, signal });
    }
    await client.call({ method: "POST", path: `/containers/${Id}/start`, what, signal, timeoutMs, situation: "start" });
  } catch (error) {
    await removeContainer(client, Id, new AbortController().signal);
    throw error;
  }
  return Id;
}

async function stopContainer(
  client: Client,
  { id, graceMs }: { id: string; graceMs: number },
  signal: AbortSignal,
): Promise<void> {
  const query = { t: String(Math.ceil(graceMs / 1000)) };
  const request = { path: `/containers/${checkedName(id)}/stop`, query, what: `stop container ${id}`, signal } as const;
  await client.call({ ...request, method: "POST", timeoutMs: "none" }, [304, 404]);
}

function ownContainer(container: CopiedAnswer): OwnContainer {
  const { Id, Name, Image, State, Config, HostConfig } = container;
  return {
    id: Id,
    name: Name.replace(/^\//, ""),
    running: State.Running,
    imageReference: Config.Image,
    imageId: imageIdOf(Image),
    labels: Config.Labels ?? {},
    restartPolicy: HostConfig.RestartPolicy?.Name || "no",
    publishesPorts: Object.keys(HostConfig.PortBindings ?? {}).length > 0,
  };
}

async function inspected(client: Client, id: string, signal: AbortSignal): Promise<CopiedAnswer | undefined> {
  const what = `inspect container ${id}`;
  const path = `/containers/${checkedName(id)}/json`;
  const answer = await client.call({ method: "GET", path, what, signal }, [404]);
  return answer.status === 404 ? undefined : checked(CopiedAnswer, parseJson(answer.body, what), what);
}

async function imageConfig(client: Client, image: string, signal: AbortSignal): Promise<Record<string, unknown>> {
  const what = `inspect image ${image}`;
  const path = `/images/${checkedReference(image)}/json`;
  return checked(ImageConfigAnswer, await client.json({ method: "GET", path, what, signal }), what).Config ?? {};
}
