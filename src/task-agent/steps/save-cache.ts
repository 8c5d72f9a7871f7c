import { lstatSync } from "node:fs";
import type { StepOutcome } from "../../protocol/records.ts";
import type { SaveCacheStep } from "../../protocol/task.ts";
import { type PackedArchive, packArchive } from "../archive/archive.ts";
import type { Source } from "../archive/pack.ts";
import { RequestError } from "../channel/transfer.ts";
import { resolvePath } from "../workspace/places.ts";
import { resolveKey } from "./cache-key.ts";
import { type StepContext, succeeded } from "./context.ts";
import { totalsText } from "./words.ts";

/** Stores paths under a key that nobody has taken yet. A cache is no more than a help: failing to store it fails no job. */
export async function saveCache(step: SaveCacheStep, context: StepContext): Promise<StepOutcome> {
  const key = await resolveKey(step.key, context);
  const { channel, output, signal } = context;
  try {
    const taken = await channel.ask({ op: "has-cache", key }, { signal, receive: async (result) => result.stored });
    if (taken) {
      output.say(`Skipping cache generation, cache already exists for key: ${key}`);
      return succeeded;
    }
    const sources = existing(step.paths, context);
    if (sources.length > 0) await store(key, sources, context);
    else output.say("None of the paths exists: no cache is stored.");
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    output.say(`Warning: the cache was not stored: ${error.message}`);
  }
  return succeeded;
}

async function store(key: string, sources: Source[], context: StepContext): Promise<void> {
  const { channel, output, signal } = context;
  output.say(`Creating and uploading the cache archive:\n${sources.map(({ path }) => `  * ${utf8(path)}`).join("\n")}`);
  let archive: PackedArchive | undefined;
  const stored = await channel.ask(
    { op: "save-cache", key },
    {
      signal,
      send: () => {
        archive = packArchive(sources, packOptions(context));
        return archive.bytes;
      },
      receive: async (result) => result.stored,
    },
  );
  if (stored === false) output.say(`Somebody else has stored a cache for key ${key} meanwhile; that one stays.`);
  else output.say(`Stored cache to ${key} (${totalsText(archive?.totals)})`);
}

function existing(paths: readonly string[], context: StepContext): Source[] {
  const { home, workingDirectory } = context.places;
  return paths.flatMap((path) => {
    const absolute = resolvePath(path, home, workingDirectory);
    if (lstatSync(absolute, { throwIfNoEntry: false })) {
      const latin1 = Buffer.from(absolute).toString("latin1");
      return [{ path: latin1, name: latin1.slice(1) }];
    }
    context.output.say(`Warning: skipping this path: ${absolute}: no such file or directory`);
    return [];
  });
}

export function packOptions(context: StepContext): { onSkipped: (path: string, reason: string) => void } {
  return { onSkipped: (path, reason) => context.output.say(`Skipped ${utf8(path)}: ${reason}`) };
}

/** For people: the bytes of a name as text. */
function utf8(path: string): string {
  return Buffer.from(path, "latin1").toString("utf8");
}
