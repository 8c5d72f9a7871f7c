import { systemClock } from "../../lib/clock.ts";
import { AgentApi } from "../api/client.ts";
import { exitCode } from "../settings/exit-codes.ts";
import type { Settings } from "../settings/settings.ts";
import { addressOf, askEngine, firstToken, noticesOf, openEngine } from "./collaborators.ts";
import { Fatal } from "./fatal.ts";

/** Settings, engine, control plane and tokens, without claiming anything. */
export async function check(
  { options, classes, notices }: Settings,
  world: { tell: (text: string) => void; version: string },
): Promise<number> {
  for (const notice of notices) world.tell(`launch agent: ${notice}\n`);
  const info = await askEngine(openEngine(options));
  world.tell(
    `engine: ${info.kind} ${info.version}, ${info.cpus} cores, ${Math.round(info.memoryBytes / 1024 ** 2)} MiB\n`,
  );
  for (const notice of noticesOf(info)) world.tell(`launch agent: ${notice}\n`);
  const address = await addressOf(options);
  const api = new AgentApi({
    address,
    token: firstToken({ classes }),
    version: world.version,
    clock: systemClock,
    random: Math.random,
    timeoutMs: 10_000,
  });
  try {
    for (const { name, token } of classes) {
      const { resource_class } = await api.classOf(token, new AbortController().signal);
      if (name !== undefined && name !== resource_class)
        throw new Error(`the token of ${name} is one of ${resource_class}`);
      world.tell(`control plane: ${address.baseUrl} knows the token of ${resource_class}\n`);
    }
    return exitCode.done;
  } catch (cause) {
    throw new Fatal(exitCode.refused, cause instanceof Error ? cause.message : String(cause), { cause });
  } finally {
    await api.close();
  }
}
