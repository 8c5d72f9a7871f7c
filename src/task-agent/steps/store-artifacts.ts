import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { StepOutcome } from "../../protocol/records.ts";
import type { StoreArtifactsStep } from "../../protocol/task.ts";
import { type ArtifactFile, findArtifacts } from "./artifact-files.ts";
import { type StepContext, StepFailure, succeeded } from "./context.ts";
import { sizeText } from "./words.ts";

/** Small files spend their time in waiting for an answer. */
const uploadsAtOnce = 4;
const chunkBytes = 256 * 1024;

/** Uploads a file, or all files of a directory. A path that is not there is no failure. */
export async function storeArtifacts(step: StoreArtifactsStep, context: StepContext): Promise<StepOutcome> {
  const { output, places } = context;
  const files = findArtifacts({
    path: step.path,
    destination: step.destination,
    home: places.home,
    workingDirectory: places.workingDirectory,
    refuse: (path, reason) => output.say(`Not stored: ${path}: ${reason}`),
  });
  if (files.length === 0) output.say(`No artifact files found at ${step.path}`);
  const left = files.values();
  const upload = async (): Promise<number> => {
    let bytes = 0;
    for (const file of left) bytes += await store(file, context);
    return bytes;
  };
  const sizes = await Promise.all(Array.from({ length: uploadsAtOnce }, upload));
  if (files.length > 0)
    output.say(`Uploaded ${files.length} files, ${sizeText(sizes.reduce((sum, size) => sum + size, 0))}`);
  return succeeded;
}

async function store(file: ArtifactFile, context: StepContext): Promise<number> {
  if (file.name.length > 4096)
    throw new StepFailure(`The artifact path ${file.name.slice(0, 60)}… is over 4096 characters.`);
  // Without waiting: a fifo may have taken the place of the file that was looked at.
  await using handle = await open(file.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const stats = await handle.stat();
  if (!stats.isFile()) {
    context.output.say(`Not stored: ${file.path}: it is no file any more`);
    return 0;
  }
  context.output.say(`Uploading ${file.path} to ${file.name}`);
  await context.channel.ask(
    { op: "store-artifact", path: file.name },
    { signal: context.signal, send: () => content(handle, stats.size), receive: async () => {} },
  );
  return stats.size;
}

/** No more than what there was at the start: a log that is still written would never end. */
async function* content(handle: FileHandle, sizeBytes: number): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < sizeBytes; ) {
    const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, sizeBytes - at));
    const { bytesRead } = await handle.read(buffer, 0, buffer.byteLength, at);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}
