import type { Readable } from "node:stream";
import { resyncPaddingBytes, syncMarker, UpFrame } from "../../protocol/channel.ts";
import { FrameDecoder } from "../../protocol/frames.ts";
import { SyncSearch } from "../channel/sync.ts";
import type { FoundGreeting } from "../task/adoptable.ts";
import type { Ground } from "../task/ground.ts";
import { settledWithin } from "../task/or-abort.ts";

/** Of what follows the marker: two frames of some hundred bytes, and what came with them. A read gives 64 KiB at most. */
const longestGreetingBytes = 256 * 1024;
/** The greeting and the word that it has a task are written at once, and may still come apart. */
const secondWordMs = 500;

/**
 * Attaches to a container that runs, and asks its task agent which task it has. Undefined where it does not answer within the
 * time that a greeting may take. All that it said since is put back, for whoever reads next; what stands before the marker is the
 * rest of an older attachment, of which everything comes again, and is not kept.
 */
export async function probe(id: string, ground: Ground, signal: AbortSignal): Promise<FoundGreeting | undefined> {
  const attachment = await ground.engine.attach(id, signal);
  const nonce = ground.randomBytes(16);
  for (const stream of [attachment.stdin, attachment.stdout, attachment.stderr]) stream.on("error", () => {});
  attachment.stdin.write(Buffer.alloc(resyncPaddingBytes));
  attachment.stdin.write(syncMarker(nonce));
  const answer = new Answer(attachment.stdout, nonce);
  await settledWithin(answer.first, ground.limits.greetMs, ground.clock);
  if (answer.frames.length > 0) await settledWithin(answer.second, secondWordMs, ground.clock);
  answer.putBack();
  const [hello, second] = answer.frames;
  if (hello?.type !== "hello") {
    attachment.close();
    return undefined;
  }
  return { attachment, nonce, accepted: second?.type === "accepted" ? second : undefined };
}

/** The first two frames of an attachment. */
class Answer {
  readonly frames: UpFrame[] = [];
  readonly first: Promise<void>;
  readonly second: Promise<void>;
  readonly #stdout: Readable;
  readonly #search: SyncSearch;
  readonly #decoder = new FrameDecoder();
  readonly #marker: Buffer;
  readonly #said: Buffer[] = [];
  readonly #wake = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  #bytes = 0;

  constructor(stdout: Readable, nonce: Uint8Array) {
    this.#stdout = stdout;
    this.#marker = syncMarker(nonce);
    this.#search = new SyncSearch(this.#marker);
    this.first = this.#wake[0].promise;
    this.second = this.#wake[1].promise;
    stdout.on("data", this.#onData).once("end", this.#stop).once("close", this.#stop);
  }

  putBack(): void {
    this.#stdout.off("data", this.#onData).off("end", this.#stop).off("close", this.#stop);
    this.#stdout.pause();
    if (this.#search.found && !this.#stdout.destroyed && !this.#stdout.readableEnded)
      this.#stdout.unshift(Buffer.concat([this.#marker, ...this.#said]));
  }

  readonly #onData = (chunk: Buffer): void => {
    try {
      const said = this.#search.push(chunk);
      if (said.byteLength === 0) return;
      this.#said.push(said);
      this.#bytes += said.byteLength;
      for (const { header } of this.#decoder.push(said)) this.#take(UpFrame.parse(header));
      if (this.#bytes > longestGreetingBytes) this.#stop();
    } catch {
      this.#stop();
    }
  };

  #take(frame: UpFrame): void {
    if (this.frames.length < 2) this.frames.push(frame);
    if (this.frames.length === 2) this.#stdout.pause();
    this.#wake[this.frames.length === 1 ? 0 : 1].resolve();
    if (this.frames.length === 2) this.#wake[0].resolve();
  }

  readonly #stop = (): void => {
    this.#stdout.pause();
    for (const { resolve } of this.#wake) resolve();
  };
}
