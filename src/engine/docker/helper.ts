import type { Readable } from "node:stream";
import type { HelperPlan, HelperResult } from "../engine.ts";
import { CreatedAnswer, checked } from "./answers.ts";
import type { Client } from "./client.ts";
import { attachContainer, startContainer, waitContainer } from "./container.ts";
import type { HostConfig } from "./create-body.ts";
import { withDeadline } from "./deadline.ts";
import { helperUlimits } from "./podman.ts";
import { checkedName, checkedReference } from "./reference.ts";
import { withHelper } from "./remove.ts";

const mebibyte = 1024 * 1024;

/** Removed before it returns, whatever happens; in the background where the engine failed. */
export async function runHelper(client: Client, plan: HelperPlan, signal: AbortSignal): Promise<HelperResult> {
  const what = `run ${plan.name}`;
  const query = { name: checkedName(plan.name) };
  checkedReference(plan.image);
  const { dialect } = await client.session(signal);
  const body = helperBody(plan, dialect.createMakesVolumes ? {} : { Ulimits: helperUlimits });
  const request = { method: "POST", path: "/containers/create", query, body, what } as const;
  return await withHelper(client, plan.name, async () => {
    // Not under the caller's signal: an engine makes it all the same, and it has to be there to be removed.
    const creating = { ...request, signal: new AbortController().signal, timeoutMs: client.longCallTimeoutMs };
    const { Id } = checked(CreatedAnswer, await client.json(creating), what);
    const attachment = await attachContainer(client, Id, signal);
    attachment.stdin.on("error", () => {});
    try {
      const output = Promise.all([read(attachment.stdout), read(attachment.stderr)]);
      output.catch(() => {});
      await startContainer(client, Id, signal);
      const { code } = await waitContainer(client, Id, signal);
      const [stdout, stderr] = await withDeadline({ signal, timeoutMs: undefined, what }, async () => await output);
      return { code, stdout, stderr };
    } finally {
      attachment.close();
    }
  });
}

/** A closed shape, as every container of ours has. */
function helperBody(plan: HelperPlan, limits: Partial<HostConfig>): object {
  const isHost = plan.network.mode === "host";
  return {
    Image: plan.image,
    Entrypoint: plan.command,
    Cmd: [],
    User: "0:0",
    WorkingDir: "/",
    Labels: { ...plan.labels },
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      NetworkMode: plan.network.mode === "join" ? `container:${plan.network.container}` : "host",
      // An engine that maps user ids shares the host's network with nobody whose ids it maps.
      ...(isHost ? { UsernsMode: "host" } : {}),
      CapDrop: ["ALL"],
      CapAdd: isHost ? [] : ["NET_ADMIN"],
      SecurityOpt: ["no-new-privileges:true"],
      ReadonlyRootfs: true,
      Memory: 64 * mebibyte,
      MemorySwap: 64 * mebibyte,
      PidsLimit: 32,
      ...limits,
      RestartPolicy: { Name: "no" },
      LogConfig: { Type: "none" },
    },
  };
}

async function read(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (bytes < mebibyte) chunks.push(chunk.subarray(0, mebibyte - bytes));
    bytes += chunk.byteLength;
  }
  return Buffer.concat(chunks).toString("utf8");
}
