import { maxRecordsPostBytes } from "../../protocol/agent-api.ts";
import type { RecordsAnswer } from "../api/client.ts";

export interface RecordRelayOptions {
  /** Posts frames; tries again by itself as long as it makes sense. */
  post: (frames: Buffer) => Promise<RecordsAnswer>;
  /** Everything up to this number is stored. */
  onAck: (seq: number) => void;
  /** The lane cannot go on: what is not acknowledged is lost to this agent. Called once. */
  onFailure: (error: unknown) => void;
  /** How long an idle lane gathers before it posts, for one that others are not to wait behind. Ended by the signal. At once when not given. */
  gather?: (signal: AbortSignal) => Promise<void>;
}

/** Above this much that waits, whoever writes has to. */
const windowBytes = maxRecordsPostBytes;
/** What a buffered record costs beside its bytes, roughly. */
const overheadBytes = 160;

interface Waiting {
  seq: number;
  frame: Buffer;
}

/**
 * One lane of records on its way to the control plane, in order, one post at a time. An idle lane posts at once, so the
 * first byte does not wait; while a post is under way what follows is gathered for the next one. Records stay here
 * until they are acknowledged.
 */
export class RecordRelay {
  readonly #options: RecordRelayOptions;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #posting = false;
  #failed = false;
  #gathering = new AbortController();
  /** How many wait for all of it to be stored. */
  #flushing = 0;
  #wake: (() => void)[] = [];

  constructor(options: RecordRelayOptions) {
    this.#options = options;
  }

  /** Takes a record over. `frame` is the whole RecordFrame. What comes after a failure is dropped. */
  push(seq: number, frame: Buffer): void {
    if (this.#failed) return;
    this.#waiting.push({ seq, frame });
    this.#bytes += frame.byteLength + overheadBytes;
    if (!this.#posting) void this.#post();
  }

  /** Undefined while there is room for more; otherwise resolves when there is. */
  full(): Promise<void> | undefined {
    if (this.#bytes <= windowBytes) return undefined;
    this.#gathering.abort();
    return this.#until(() => this.#bytes <= windowBytes);
  }

  /** When everything so far is acknowledged, or the lane has failed. */
  async flushed(): Promise<void> {
    this.#flushing++;
    this.#gathering.abort();
    if (this.#waiting.length > 0) await this.#until(() => this.#waiting.length === 0);
    this.#flushing--;
  }

  async #post(): Promise<void> {
    this.#posting = true;
    try {
      // What else is written in this turn goes along.
      await Promise.resolve();
      while (this.#waiting.length > 0) {
        await this.#gather();
        this.#settle(await this.#options.post(this.#batch()));
      }
    } catch (error) {
      this.#failed = true;
      this.#waiting = [];
      this.#bytes = 0;
      this.#options.onFailure(error);
    } finally {
      this.#posting = false;
      this.#notify();
    }
  }

  async #gather(): Promise<void> {
    const { gather } = this.#options;
    if (!gather || this.#flushing > 0) return;
    this.#gathering = new AbortController();
    await gather(this.#gathering.signal).catch(() => undefined);
  }

  #batch(): Buffer {
    const frames: Buffer[] = [];
    let bytes = 0;
    for (const { frame } of this.#waiting) {
      if (bytes > 0 && bytes + frame.byteLength > maxRecordsPostBytes) break;
      frames.push(frame);
      bytes += frame.byteLength;
    }
    return Buffer.concat(frames, bytes);
  }

  #settle(answer: RecordsAnswer): void {
    const first = this.#waiting[0]?.seq ?? 0;
    const stored = this.#waiting.findIndex(({ seq }) => seq > answer.acked);
    const count = stored < 0 ? this.#waiting.length : stored;
    if (count === 0) throw new Error(lostRecords(first, answer));
    for (const { frame } of this.#waiting.splice(0, count)) this.#bytes -= frame.byteLength + overheadBytes;
    this.#options.onAck(answer.acked);
    this.#notify();
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition() && !this.#failed) {
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
      });
    }
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resume of wake) resume();
  }
}

function lostRecords(first: number, answer: RecordsAnswer): string {
  return `the control plane has records up to ${answer.acked}, and this agent holds them from ${first} on`;
}
