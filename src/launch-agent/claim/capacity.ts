import type { ContainerSpec } from "../../protocol/task.ts";

/** What this agent hands out, over all its tasks together. */
export interface Capacity {
  /** Tasks at once. */
  tasks: number;
  memoryBytes: number;
  cpus: number;
  /** For workspaces on disk; undefined: whatever the disk has. */
  workspaceBytes?: number;
}

export interface Share {
  memoryBytes: number;
  cpus: number;
  workspaceBytes?: number;
}

/** What a task may take at most: each of its containers has the limits of the class, and one has a workspace. */
export function shareOf({ limits, images }: ContainerSpec): Share {
  const { memoryBytes, cpus, workspaceBytes, workspaceMedium } = limits;
  return {
    memoryBytes: memoryBytes * Math.max(1, images.length),
    cpus,
    workspaceBytes: workspaceMedium === "disk" ? workspaceBytes : 0,
  };
}

interface Waiter {
  share: Share;
  admit: () => void;
}

/**
 * Places for tasks. A place is taken before a task is claimed; how large the task is shows afterwards, so it then waits
 * in line for its share. One that is larger than everything is admitted when it is alone, so nothing waits for ever.
 */
export class Room {
  readonly #capacity: Capacity;
  #places = 0;
  #admitted = 0;
  #memoryBytes = 0;
  #cpus = 0;
  #workspaceBytes = 0;
  #line: Waiter[] = [];
  #wake: (() => void)[] = [];

  constructor(capacity: Capacity) {
    this.#capacity = capacity;
  }

  get placesTaken(): number {
    return this.#places;
  }

  /** What the admitted tasks, and those that wait in line, leave of the memory. Below zero when they want more. */
  get freeMemoryBytes(): number {
    const waiting = this.#line.reduce((sum, { share }) => sum + share.memoryBytes, 0);
    return this.#capacity.memoryBytes - this.#memoryBytes - waiting;
  }

  /** Takes a place when there is one and nobody waits in line. Rejects with the signal's reason. */
  async takePlace(signal: AbortSignal): Promise<void> {
    while (this.#places >= this.#capacity.tasks || this.#line.length > 0) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const wake = () => {
          signal.removeEventListener("abort", wake);
          resolve();
        };
        this.#wake.push(wake);
        signal.addEventListener("abort", wake, { once: true });
      });
    }
    signal.throwIfAborted();
    this.#places++;
  }

  /** For a task that runs already. */
  occupyPlace(): void {
    this.#places++;
  }

  leavePlace(): void {
    this.#places--;
    this.#notify();
  }

  /** `admitted` resolves when the share is free, at once where it is. `release` gives it back, admitted or not. */
  admit(share: Share): { admitted: Promise<void>; release: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    let state: "waiting" | "in" | "out" = "waiting";
    const waiter: Waiter = {
      share,
      admit: () => {
        state = "in";
        resolve();
      },
    };
    this.#line.push(waiter);
    this.#advance();
    const release = () => {
      if (state === "in") this.#giveBack(share);
      else this.#line = this.#line.filter((other) => other !== waiter);
      state = "out";
      this.#advance();
      this.#notify();
    };
    return { admitted: promise, release };
  }

  #advance(): void {
    for (let next = this.#line[0]; next && this.#fits(next.share); next = this.#line[0]) {
      this.#line.shift();
      this.#admitted++;
      this.#memoryBytes += next.share.memoryBytes;
      this.#cpus += next.share.cpus;
      this.#workspaceBytes += next.share.workspaceBytes ?? 0;
      next.admit();
    }
    if (this.#line.length === 0) this.#notify();
  }

  #fits(share: Share): boolean {
    if (this.#admitted === 0) return true;
    const { memoryBytes, cpus, workspaceBytes = Number.POSITIVE_INFINITY } = this.#capacity;
    return (
      this.#memoryBytes + share.memoryBytes <= memoryBytes &&
      this.#cpus + share.cpus <= cpus &&
      this.#workspaceBytes + (share.workspaceBytes ?? 0) <= workspaceBytes
    );
  }

  #giveBack(share: Share): void {
    this.#admitted--;
    this.#memoryBytes -= share.memoryBytes;
    this.#cpus -= share.cpus;
    this.#workspaceBytes -= share.workspaceBytes ?? 0;
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resume of wake) resume();
  }
}
