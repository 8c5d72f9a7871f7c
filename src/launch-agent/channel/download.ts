import { initialCreditBytes, maxDataBytes } from "../../protocol/channel.ts";
import type { FrameWriter } from "./writer.ts";

/** More than any task agent grants; keeps the sum a safe integer. */
const mostCreditBytes = 2 ** 40;

/** What a container has said it can take of one transfer. */
export class Credit {
  #bytes = initialCreditBytes;
  #wake: (() => void) | undefined;

  grant(bytes: number): void {
    this.#bytes = Math.min(this.#bytes + bytes, mostCreditBytes);
    this.#wake?.();
  }

  /** Up to `wanted` bytes, at least one. */
  async take(wanted: number, signal: AbortSignal): Promise<number> {
    while (this.#bytes === 0) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    signal.throwIfAborted();
    const taken = Math.min(wanted, this.#bytes);
    this.#bytes -= taken;
    return taken;
  }
}

export interface DownloadTarget {
  id: number;
  credit: Credit;
  writer: FrameWriter;
  signal: AbortSignal;
}

/** Carries a stream into the container: within credit, at the container's own pace. */
export async function sendDownload(source: AsyncIterable<Buffer>, target: DownloadTarget): Promise<void> {
  for await (const chunk of source) {
    for (let from = 0; from < chunk.byteLength; ) {
      await target.writer.room(target.signal);
      const count = await target.credit.take(Math.min(chunk.byteLength - from, maxDataBytes), target.signal);
      target.writer.send({ type: "data", id: target.id }, chunk.subarray(from, from + count));
      from += count;
    }
  }
  target.writer.send({ type: "end", id: target.id });
}
