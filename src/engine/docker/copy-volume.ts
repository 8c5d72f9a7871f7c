import type { SharedVolume } from "../engine.ts";
import { CreatedAnswer, checked } from "./answers.ts";
import type { Client } from "./client.ts";
import { removeContainer } from "./remove.ts";

/** Carries a directory of an image into a volume through us, for engines that do not fill volumes of stopped containers. */
export async function copyIntoVolume(
  client: Client,
  options: { from: SharedVolume; filler: string; signal: AbortSignal },
): Promise<void> {
  const { from, filler, signal } = options;
  const what = `copy ${from.path} of image ${from.image} into volume ${from.name}`;
  const body = { Image: from.image, Entrypoint: ["/nothing"], Labels: { ...from.labels }, NetworkDisabled: true };
  const timeoutMs = client.longCallTimeoutMs;
  const created = await client.json({ method: "POST", path: "/containers/create", body, what, signal, timeoutMs });
  const { Id } = checked(CreatedAnswer, created, what);
  try {
    const { transport } = await client.session(signal);
    const query = { path: `${from.path}/.` };
    const request = { method: "GET", path: `/containers/${Id}/archive`, query, what, signal, timeoutMs } as const;
    await transport.stream(request, async (archive) => {
      const put = { method: "PUT", path: `/containers/${filler}/archive`, query: { path: from.path } } as const;
      await client.call({ ...put, archive, what, signal, timeoutMs });
    });
  } finally {
    await removeContainer(client, Id, new AbortController().signal);
  }
}
