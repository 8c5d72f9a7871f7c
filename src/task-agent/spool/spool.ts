import { SegmentFile } from "./segment-file.ts";

interface Entry {
  seq: number;
  bytes: Buffer | undefined;
  segment: SegmentFile | undefined;
  offset: number;
  length: number;
}

export interface SpoolOptions {
  /** Bytes that are kept in memory before the rest goes to files. */
  memoryBytes: number;
  /** A directory for the files, made when it is first needed. Undefined: there is none, all stays in memory. */
  directory: () => string | undefined;
}

const segmentBytes = 16 * 1024 * 1024;

/**
 * Encoded records, kept until they are acknowledged, read in order and again from the start after a break.
 *
 * The first ones stay in memory; what does not fit goes to files that are unlinked as soon as they are open, so that
 * they go with this process. Where no file can be written, memory takes it: nothing that is not acknowledged is lost.
 */
export class Spool {
  readonly #options: SpoolOptions;
  #entries: Entry[] = [];
  /** Index of the first entry that is not acknowledged; those before it are dropped now and then. */
  #first = 0;
  #next = 0;
  #memoryBytes = 0;
  #segment: SegmentFile | undefined;
  #waiting: (() => void)[] = [];

  constructor(options: SpoolOptions) {
    this.#options = options;
  }

  get empty(): boolean {
    return this.#first === this.#entries.length;
  }

  /** Whether another record would go to a file. */
  get full(): boolean {
    return this.#memoryBytes >= this.#options.memoryBytes;
  }

  append(seq: number, bytes: Buffer): void {
    const entry: Entry = { seq, bytes, segment: undefined, offset: 0, length: bytes.byteLength };
    if (this.#memoryBytes + bytes.byteLength <= this.#options.memoryBytes || !this.#spill(entry, bytes))
      this.#memoryBytes += bytes.byteLength;
    this.#entries.push(entry);
  }

  /** The next record to send, or undefined when all have been read. */
  next(): Buffer | undefined {
    const entry = this.#entries[this.#next];
    if (!entry) return undefined;
    this.#next += 1;
    return entry.bytes ?? entry.segment?.read(entry.offset, entry.length);
  }

  /** Starts over at the first record that is not acknowledged. */
  rewind(): void {
    this.#next = this.#first;
  }

  /** Forgets records up to this number. */
  ack(seq: number): void {
    for (let entry = this.#entries[this.#first]; entry && entry.seq <= seq; entry = this.#entries[this.#first]) {
      this.#forget(entry);
      this.#first += 1;
    }
    this.#next = Math.max(this.#next, this.#first);
    if (this.#first > 1024 || this.empty) this.#compact();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Resolves at the next acknowledgement. */
  async progress(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #spill(entry: Entry, bytes: Buffer): boolean {
    try {
      const segment = this.#openSegment();
      if (!segment) return false;
      entry.offset = segment.append(bytes);
      entry.segment = segment;
      entry.bytes = undefined;
      return true;
    } catch {
      // A full disk must not cost a record. Memory is the job's own, and has a limit that the engine guards.
      return false;
    }
  }

  #openSegment(): SegmentFile | undefined {
    if (this.#segment && this.#segment.sizeBytes < segmentBytes) return this.#segment;
    const directory = this.#options.directory();
    if (directory === undefined) return undefined;
    this.#segment?.seal();
    this.#segment = new SegmentFile(directory);
    return this.#segment;
  }

  #forget(entry: Entry): void {
    if (entry.bytes) this.#memoryBytes -= entry.length;
    entry.bytes = undefined;
    entry.segment?.release();
  }

  #compact(): void {
    this.#entries = this.#entries.slice(this.#first);
    this.#next -= this.#first;
    this.#first = 0;
  }
}
