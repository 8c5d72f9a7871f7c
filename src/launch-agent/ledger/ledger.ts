import type { Engine, OwnedObject } from "../../engine/engine.ts";
import { errorFacts, type Log } from "../log.ts";
import { label, type Role } from "../plan/labels.ts";

export interface LedgerOptions {
  engine: Engine;
  /** Whether what carries these labels is in the hands of this process. Asked right before something is removed. */
  owns: (labels: Readonly<Record<string, string>>) => boolean;
  /** Whether what carries these labels is this agent's, and nobody's where this process does not own it. */
  mayClear: (labels: Readonly<Record<string, string>>) => boolean;
  onOrphans: (count: number) => void;
  now: () => number;
  log: Log;
}

const roles: readonly Role[] = ["task", "service", "pool", "sandbox", "helper"];

/**
 * What this agent has on its engine, read back from the engine's labels and never remembered. An object of ours that no
 * task of this process owns, nor its pool is an orphan: its agent died, and what could be adopted was (adoption.ts).
 * Other agents' objects are left alone until they are past their deadline.
 */
export class Ledger {
  readonly #options: LedgerOptions;

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /** Removes orphans. Returns how many; rejects with EngineError only when it could not look. */
  async sweep(signal: AbortSignal): Promise<number> {
    let removed = 0;
    for (const object of await this.#list(signal)) {
      if (this.#isOrphan(object) && (await this.#remove(object, signal))) removed++;
    }
    if (removed > 0) {
      this.#options.log.info({ removed }, "removed what a dead agent had left");
      this.#options.onOrphans(removed);
    }
    return removed;
  }

  /** Containers first: a volume cannot go before what uses it. */
  async #list(signal: AbortSignal): Promise<OwnedObject[]> {
    const lists = await Promise.all(roles.map((role) => this.#options.engine.list({ [label.role]: role }, signal)));
    return lists.flat().toSorted((a, b) => Number(a.kind === "volume") - Number(b.kind === "volume"));
  }

  #isOrphan(object: OwnedObject): boolean {
    const { owns, mayClear } = this.#options;
    return !owns(object.labels) && (mayClear(object.labels) || this.#isPastDeadline(object));
  }

  #isPastDeadline(object: OwnedObject): boolean {
    const deadline = Number(object.labels[label.deadline]);
    return Number.isFinite(deadline) && deadline > 0 && deadline < this.#options.now();
  }

  async #remove(object: OwnedObject, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#options.engine.removeObject(object, signal);
      return true;
    } catch (error) {
      const facts = { kind: object.kind, id: object.id, ...errorFacts(error) };
      this.#options.log.warn(facts, "an orphan could not be removed");
      return false;
    }
  }
}
