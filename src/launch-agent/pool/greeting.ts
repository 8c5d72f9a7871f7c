import type { Readable } from "node:stream";
import { FrameDecoder } from "../../protocol/frames.ts";
import { syncMarker } from "../../protocol/sync.ts";
import { SyncSearch } from "../channel/sync.ts";

/** A greeting is a few dozen bytes. Nothing of the job's runs yet, so what says more is no task agent. */
const longestGreetingBytes = 64 * 1024;

/**
 * Resolves when the task agent behind `stdout` has answered the marker of `nonce` with its first frame. All that it said is put back
 * first, so that whoever reads next reads it from the beginning. Rejects when it said something else, or ended.
 */
export async function greeted(stdout: Readable, nonce: Uint8Array): Promise<void> {
  const search = new SyncSearch(syncMarker(nonce));
  const frames = new FrameDecoder();
  const said: Buffer[] = [];
  let bytes = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onData = (chunk: Buffer) => {
    said.push(chunk);
    bytes += chunk.byteLength;
    try {
      const [first] = frames.push(search.push(chunk));
      if (first) putBack();
      else if (bytes > longestGreetingBytes) reject(new Error(`no greeting within ${longestGreetingBytes} bytes`));
    } catch (error) {
      reject(error);
    }
  };
  const putBack = () => {
    stdout.off("data", onData);
    stdout.pause();
    stdout.unshift(Buffer.concat(said));
    resolve();
  };
  const onEnd = () => reject(new Error("the output ended before the task agent greeted"));
  stdout.on("data", onData).once("end", onEnd).once("close", onEnd).once("error", reject);
  try {
    await promise;
  } finally {
    stdout.off("data", onData).off("end", onEnd).off("close", onEnd).off("error", reject);
  }
}
