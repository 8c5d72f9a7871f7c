import { z } from "zod";
import type { Clock } from "../../lib/clock.ts";

/** One record of the engine's pull stream. */
export const PullLine = z.object({
  status: z.string().optional(),
  id: z.string().optional(),
  progressDetail: z.object({ current: z.number().optional(), total: z.number().optional() }).nullish(),
  error: z.string().optional(),
});
export type PullLine = z.infer<typeof PullLine>;

const betweenLinesMs = 500;

/** Turns the engine's many progress records into few lines for people: `3 of 5 layers, 12.0 of 31.4 MB`. */
export class PullProgress {
  readonly #clock: Clock;
  readonly #say: (line: string) => void;
  readonly #layers = new Map<string, { current: number; total: number; done: boolean }>();
  #saidAt = Number.NEGATIVE_INFINITY;
  #last = "";

  constructor(clock: Clock, say: (line: string) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  take(line: PullLine): void {
    const status = line.status ?? "";
    if (line.id === undefined || status.startsWith("Pulling from")) {
      if (status !== "") this.#tell(status, true);
      return;
    }
    const layer = this.#layers.get(line.id) ?? { current: 0, total: 0, done: false };
    if (status === "Downloading") {
      layer.current = line.progressDetail?.current ?? layer.current;
      layer.total = line.progressDetail?.total ?? layer.total;
    }
    if (status === "Download complete" || status === "Extracting") layer.current = layer.total;
    if (status === "Pull complete" || status === "Already exists") layer.done = true;
    this.#layers.set(line.id, layer);
    this.#tell(this.#summary(), false);
  }

  #summary(): string {
    const layers = [...this.#layers.values()];
    const done = layers.filter((layer) => layer.done).length;
    const current = sum(layers.map((layer) => layer.current));
    const total = sum(layers.map((layer) => layer.total));
    const bytes = total === 0 ? "" : `, ${megabytes(current)} of ${megabytes(total)} MB`;
    return `${done} of ${layers.length} layers${bytes}`;
  }

  #tell(line: string, important: boolean): void {
    const now = this.#clock.monotonic();
    if (line === this.#last || (!important && now - this.#saidAt < betweenLinesMs)) return;
    this.#last = line;
    if (!important) this.#saidAt = now;
    this.#say(line);
  }
}

function sum(numbers: number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(1);
}
