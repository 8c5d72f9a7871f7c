import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";

/** A directory of our own in the container, made when it is first needed. There may be none: a read-only root, no /tmp. */
export class PrivateDirectory {
  readonly #candidates: readonly string[];
  #path: string | undefined;
  #tried = false;

  constructor(candidates: readonly string[]) {
    this.#candidates = candidates;
  }

  get path(): string | undefined {
    if (!this.#tried) this.#path = this.#make();
    this.#tried = true;
    return this.#path;
  }

  remove(): void {
    if (this.#path !== undefined) rmSync(this.#path, { recursive: true, force: true });
  }

  #make(): string | undefined {
    for (const candidate of this.#candidates) {
      try {
        return mkdtempSync(join(candidate, ".cofferdam-"));
      } catch {
        // Not there or not writable: the next one.
      }
    }
    return undefined;
  }
}
