import type { StepOutcome } from "../../protocol/records.ts";
import type { RestoreCacheStep } from "../../protocol/task.ts";
import { unpackArchive } from "../archive/archive.ts";
import type { PackTotals } from "../archive/pack.ts";
import { RequestError } from "../channel/transfer.ts";
import { resolveKey } from "./cache-key.ts";
import { type StepContext, succeeded } from "./context.ts";
import { explained, sizeText, totalsText } from "./words.ts";

/** Puts the newest cache whose key begins with one of these where it came from. None is no failure. */
export async function restoreCache(step: RestoreCacheStep, context: StepContext): Promise<StepOutcome> {
  const { output, channel, signal } = context;
  const keys: string[] = [];
  for (const template of step.keys) keys.push(await resolveKey(template, context));
  try {
    const found = await channel.ask<PackTotals | undefined>(
      { op: "restore-cache", keys },
      {
        signal,
        receive: async (result, body) => {
          if (!result.streams) return undefined;
          output.say(`Found a cache at ${result.key ?? ""}`);
          if (result.sizeBytes !== undefined) output.say(`Cache size: ${sizeText(result.sizeBytes)}`);
          const onSkipped = (name: string, reason: string): void => output.say(`Skipped ${name}: ${reason}`);
          return await explained("The cache", unpackArchive(body, { root: "/", onSkipped }));
        },
      },
    );
    if (found) output.say(`Restored ${totalsText(found)}`);
    else for (const key of keys) output.say(`No cache is found for key: ${key}`);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    output.say(`Warning: no cache was restored: ${error.message}`);
  }
  return succeeded;
}
