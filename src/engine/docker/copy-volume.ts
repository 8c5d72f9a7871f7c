import type { SharedVolume } from "../engine.ts";
import { CreatedAnswer, checked } from "./answers.ts";
import type { Client } from "./client.ts";
import { withHelper } from "./remove.ts";

/** Carries a directory of an image into a volume through us, for engines that do not fill volumes of stopped containers. */
export async function copyIntoVolume(
  client: Client,
  options: { from: SharedVolume; filler: string; signal: AbortSignal },
): Promise<void> {
  const { from, filler, signal } = options;
  const what = `copy ${from.path} of image ${from.image} into volume ${from.name}`;
  const body = { Image: from.image, Entrypoint: ["/nothing"], Labels: { ...from.labels }, NetworkDisabled: true };
  const timeoutMs = client.longCallTimeoutMs;
  const name = `${from.name}.source`;
  await withHelper(client, name, async () => {
    const create = { method: "POST", path: "/containers/create", query: { name }, body, what, signal } as const;
    const { Id } = checked(CreatedAnswer, await client.json({ ...create, timeoutMs }), what);
    const { transport } = await client.session(signal);
    const query = { path: `${from.path}/.` };
    const request = { method: "GET", path: `/containers/${Id}/archive`, query, what, signal, timeoutMs } as const;
    await transport.stream(request, async (archive) => {
      const put = { method: "PUT", path: `/containers/${filler}/archive`, query: { path: from.path } } as const;
      await client.call({ ...put, archive, what, signal, timeoutMs });
    });
  });
}
