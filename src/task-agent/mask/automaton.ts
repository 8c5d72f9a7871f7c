/**
 * Finds many byte strings at once (Aho and Corasick). The trie is built at once, its transitions are worked out when a
 * byte first needs them: a private key in a dozen encodings has tens of thousands of states, output visits a handful.
 */
export class Automaton {
  /** Children of the trie: state · 256 + byte → state. */
  readonly #children = new Map<number, number>();
  readonly #depth: number[] = [0];
  readonly #fail: number[] = [0];
  /** Length of the longest string that ends in this state, 0 for none. */
  readonly #match: number[] = [0];
  /** Which two bytes a string begins with. */
  readonly #pairs = new Uint8Array(256 * 256);
  #memo = new Memo();

  /** Strings of at least two bytes. */
  constructor(strings: readonly Buffer[]) {
    for (const string of strings) this.#insert(string);
    this.#link();
  }

  /** Bytes at the end of what was read that may be the beginning of a string. */
  depth(state: number): number {
    return this.#depth[state] ?? 0;
  }

  /** Reads on from a state (0 at first) and returns the one after it. `onMatch` gets ends of matches, relative to the chunk. */
  scan(from: number, chunk: Buffer, onMatch: (end: number, length: number) => void): number {
    const pairs = this.#pairs;
    const last = chunk.byteLength - 1;
    let memo = this.#memo;
    let row = memo.rowOf(from, this.#match[from] ?? 0);
    for (let at = 0; at < chunk.byteLength; at += 1) {
      // Most bytes of most output begin nothing.
      if (row === rootRow) while (at < last && pairs[(chunk[at] ?? 0) * 256 + (chunk[at + 1] ?? 0)] === 0) at += 1;
      const byte = chunk[at] ?? 0;
      let next = memo.table[row * 256 + byte] ?? -1;
      if (next < 0) {
        next = this.#learn(row, byte);
        memo = this.#memo;
      }
      row = next;
      const length = memo.matches[row] ?? 0;
      if (length > 0) onMatch(at + 1, length);
    }
    return memo.states[row] ?? 0;
  }

  #learn(row: number, byte: number): number {
    const state = this.#goto(this.#memo.states[row] ?? 0, byte);
    const match = this.#match[state] ?? 0;
    if (this.#memo.full) {
      this.#memo = new Memo();
      return this.#memo.rowOf(state, match);
    }
    const next = this.#memo.rowOf(state, match);
    this.#memo.table[row * 256 + byte] = next;
    return next;
  }

  #goto(from: number, byte: number): number {
    for (let state = from; ; state = this.#fail[state] ?? 0) {
      const child = this.#children.get(state * 256 + byte);
      if (child !== undefined) return child;
      if (state === 0) return 0;
    }
  }

  #insert(string: Buffer): void {
    this.#pairs[string.readUInt16BE(0)] = 1;
    let state = 0;
    for (const byte of string) {
      const key = state * 256 + byte;
      let child = this.#children.get(key);
      if (child === undefined) {
        child = this.#depth.length;
        this.#children.set(key, child);
        this.#depth.push((this.#depth[state] ?? 0) + 1);
        this.#fail.push(0);
        this.#match.push(0);
      }
      state = child;
    }
    this.#match[state] = string.byteLength;
  }

  /** Breadth first, so that the link of a state is there before its children need it. */
  #link(): void {
    const edges = [...this.#children].sort(([a], [b]) => this.#depthOfKey(a) - this.#depthOfKey(b));
    for (const [key, child] of edges) {
      const parent = Math.floor(key / 256);
      if (parent === 0) continue;
      const fail = this.#goto(this.#fail[parent] ?? 0, key % 256);
      this.#fail[child] = fail;
      this.#match[child] = Math.max(this.#match[child] ?? 0, this.#match[fail] ?? 0);
    }
  }

  #depthOfKey(key: number): number {
    return this.#depth[Math.floor(key / 256)] ?? 0;
  }
}

const maxRows = 8192;
/** The row of state 0. */
const rootRow = 0;

/** Transitions that have been worked out, one row of 256 a state that output has visited; -1 where they have not. */
class Memo {
  table = new Int32Array(64 * 256).fill(-1);
  matches = new Int32Array(64);
  readonly states: number[] = [0];
  readonly #rows = new Map<number, number>([[0, rootRow]]);

  get full(): boolean {
    return this.states.length >= maxRows;
  }

  rowOf(state: number, match: number): number {
    const known = this.#rows.get(state);
    if (known !== undefined) return known;
    const row = this.states.length;
    if (row >= this.matches.length) this.#grow();
    this.states.push(state);
    this.#rows.set(state, row);
    this.matches[row] = match;
    return row;
  }

  #grow(): void {
    const table = new Int32Array(this.table.length * 2).fill(-1);
    table.set(this.table);
    this.table = table;
    const matches = new Int32Array(this.matches.length * 2);
    matches.set(this.matches);
    this.matches = matches;
  }
}
