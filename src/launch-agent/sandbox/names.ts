import type { Clock } from "../../lib/clock.ts";

export interface NameTimes {
  /** How long an answer is taken for the present one. */
  freshMs: number;
  /** How long an address stays a name's after it was last seen: names of many addresses show a few at a time. */
  keepMs: number;
  /** For one answer. */
  patienceMs: number;
}

const defaultTimes: NameTimes = { freshMs: 60_000, keepMs: 30 * 60_000, patienceMs: 3_000 };
/** Of one name. */
const mostAddresses = 64;

interface Known {
  /** By address: when it was last seen. */
  seenAtMs: Map<string, number>;
  askedAtMs: number;
}

/** IPv4 addresses of the host names in rules, as this agent resolves them. */
export class Names {
  readonly #resolve: (name: string) => Promise<string[]>;
  readonly #clock: Clock;
  readonly #times: NameTimes;
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Promise<void>>();

  constructor(options: { resolve: (name: string) => Promise<string[]>; clock: Clock; times?: Partial<NameTimes> }) {
    this.#resolve = options.resolve;
    this.#clock = options.clock;
    this.#times = { ...defaultTimes, ...options.times };
  }

  /** What is known of them. Waits only for those that nobody has asked for yet. Never rejects. */
  async addresses(names: readonly string[]): Promise<Map<string, string[]>> {
    await Promise.all(names.filter((name) => !this.#known.has(name)).map((name) => this.#look(name)));
    return new Map(names.map((name) => [name, [...(this.#known.get(name)?.seenAtMs.keys() ?? [])].toSorted()]));
  }

  /** Asks again where the answers are old. A name that cannot be resolved now keeps what it had. Never rejects. */
  async refresh(names: readonly string[]): Promise<void> {
    const oldest = this.#clock.monotonic() - this.#times.freshMs;
    const old = names.filter((name) => (this.#known.get(name)?.askedAtMs ?? Number.NEGATIVE_INFINITY) < oldest);
    await Promise.all(old.map((name) => this.#look(name)));
  }

  async #look(name: string): Promise<void> {
    const asking = this.#asking.get(name) ?? this.#lookNow(name).finally(() => this.#asking.delete(name));
    this.#asking.set(name, asking);
    await asking;
  }

  async #lookNow(name: string): Promise<void> {
    const answer = await this.#ask(name);
    const nowMs = this.#clock.monotonic();
    const seenAtMs = this.#known.get(name)?.seenAtMs ?? new Map<string, number>();
    for (const address of answer) {
      seenAtMs.delete(address);
      seenAtMs.set(address, nowMs);
    }
    for (const [address, atMs] of seenAtMs)
      if (nowMs - atMs > this.#times.keepMs || seenAtMs.size > mostAddresses) seenAtMs.delete(address);
    this.#known.set(name, { seenAtMs, askedAtMs: nowMs });
  }

  /** Nothing where it cannot be had in time. */
  async #ask(name: string): Promise<string[]> {
    const done = new AbortController();
    const late = this.#clock.sleep(this.#times.patienceMs, done.signal).then(
      () => [],
      () => [],
    );
    const answer = this.#resolve(name).catch(() => []);
    const addresses = await Promise.race([answer, late]);
    done.abort();
    return addresses;
  }
}
