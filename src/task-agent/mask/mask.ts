import { Automaton } from "./automaton.ts";
import { secretForms } from "./forms.ts";

const maskText = Buffer.from("****");
const nothing = Buffer.alloc(0);

/** Masks one stream. What comes out does not depend on how the stream was cut into chunks. */
export interface Mask {
  /** What can be told by now. Holds back only what may be the beginning of a secret. */
  push(chunk: Buffer): Buffer;
  /** The rest, at the end of the stream. */
  flush(): Buffer;
}

export class Masker {
  readonly #automaton: Automaton | undefined;

  constructor(secrets: readonly string[]) {
    const forms = secretForms(secrets);
    this.#automaton = forms.length > 0 ? new Automaton(forms) : undefined;
  }

  stream(): Mask {
    return this.#automaton ? new StreamMask(this.#automaton) : { push: (chunk) => chunk, flush: () => nothing };
  }

  /** For names and messages. */
  text(text: string): string {
    if (!this.#automaton) return text;
    const mask = this.stream();
    return Buffer.concat([mask.push(Buffer.from(text)), mask.flush()]).toString("utf8");
  }
}

interface Match {
  start: number;
  end: number;
  /** The asterisks for it are out already. */
  told?: boolean;
}

/** Positions count from the beginning of the stream. */
class StreamMask implements Mask {
  readonly #automaton: Automaton;
  #state = 0;
  /** Bytes from `#heldFrom` on that are not out yet. */
  #held: Buffer = nothing;
  #heldFrom = 0;
  /** Matches that are not out yet, merged where they overlap, in order. */
  #matches: Match[] = [];

  constructor(automaton: Automaton) {
    this.#automaton = automaton;
  }

  push(chunk: Buffer): Buffer {
    const base = this.#heldFrom + this.#held.byteLength;
    this.#state = this.#automaton.scan(this.#state, chunk, (end, length) => this.#add(base + end - length, base + end));
    const bytes = this.#held.byteLength > 0 ? Buffer.concat([this.#held, chunk]) : chunk;
    return this.#release(bytes, base + chunk.byteLength - this.#automaton.depth(this.#state));
  }

  flush(): Buffer {
    this.#state = 0;
    return this.#release(this.#held, this.#heldFrom + this.#held.byteLength);
  }

  #add(from: number, end: number): void {
    let start = from;
    let told = false;
    for (let last = this.#matches.at(-1); last && last.end > start; last = this.#matches.at(-1)) {
      start = Math.min(start, last.start);
      told ||= last.told ?? false;
      this.#matches.pop();
    }
    this.#matches.push({ start, end, told });
  }

  /** Lets out what stands before `until`. A match that begins there may still grow by what is pending. */
  #release(bytes: Buffer, until: number): Buffer {
    const origin = this.#heldFrom;
    const pieces: Buffer[] = [];
    let from = origin;
    for (let match = this.#matches[0]; match && match.start < until; match = this.#matches[0]) {
      pieces.push(bytes.subarray(from - origin, match.start - origin));
      if (!match.told) pieces.push(maskText);
      from = Math.min(match.end, until);
      if (match.end > until) this.#matches[0] = { start: until, end: match.end, told: true };
      else this.#matches.shift();
    }
    pieces.push(bytes.subarray(from - origin, until - origin));
    return this.#keep(bytes, until, pieces);
  }

  #keep(bytes: Buffer, from: number, pieces: Buffer[]): Buffer {
    this.#held = Buffer.from(bytes.subarray(from - this.#heldFrom));
    this.#heldFrom = from;
    const [only] = pieces;
    return only && pieces.length === 1 ? only : Buffer.concat(pieces);
  }
}
