import { type Engine, EngineError, type Image } from "../../engine/engine.ts";
import type { Clock } from "../../lib/clock.ts";
import type { ImageStore } from "../images/image-store.ts";
import { label } from "../plan/labels.ts";
import { taskAgentPath } from "../plan/working-directory.ts";

export interface TaskAgent {
  image: Image;
  /** Starts it, in its own image as in any other that has the volume. */
  argv: string[];
  volume: string;
  /** Runs its nft, in its own image. Undefined in images of before there was one. */
  nft: string[] | undefined;
}

/** Somebody may tidy up volumes at any time, so an ensured one is believed for a burst of tasks only. */
const believeForMs = 10_000;

/** Where the task agent comes from: its image, and the shared volume that takes it into other images. */
export class TaskAgentSource {
  readonly #engine: Engine;
  readonly #images: ImageStore;
  readonly #reference: string;
  readonly #clock: Clock;
  #ensured: { volume: string; until: number } | undefined;
  #ensuring: Promise<void> | undefined;

  constructor(options: { engine: Engine; images: ImageStore; reference: string; clock: Clock }) {
    this.#engine = options.engine;
    this.#images = options.images;
    this.#reference = options.reference;
    this.#clock = options.clock;
  }

  /** Everything there before it is needed: image, account, volume. Failures are told when it is. */
  async warm(signal: AbortSignal): Promise<void> {
    const account = this.#image(signal).then((image) => this.#engine.account(image, undefined, signal));
    await Promise.allSettled([account, this.ready({ volume: true, signal })]);
  }

  /** Rejects with EngineError, which is never the job's fault here. */
  async ready(options: { volume: boolean; signal: AbortSignal }): Promise<TaskAgent> {
    const image = await this.#image(options.signal);
    const agent = {
      image,
      argv: this.#argv(image),
      volume: volumeName(image),
      nft: parseArgv(image.labels[label.nft]),
    };
    if (options.volume) await this.#ensureVolume(agent, options.signal);
    return agent;
  }

  async #image(signal: AbortSignal): Promise<Image> {
    try {
      return await this.#images.ensure({ reference: this.#reference, signal, onProgress: () => {} });
    } catch (cause) {
      signal.throwIfAborted();
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new EngineError("failed", `task-agent image ${this.#reference}: ${why}`, { cause });
    }
  }

  #argv(image: Image): string[] {
    const argv = parseArgv(image.labels[label.argv]);
    if (argv) return argv;
    throw new EngineError("failed", `${this.#reference} is no task-agent image: it has no label ${label.argv}`);
  }

  async #ensureVolume(agent: TaskAgent, signal: AbortSignal): Promise<void> {
    const known = this.#ensured;
    if (known?.volume === agent.volume && known.until > this.#clock.monotonic()) return;
    this.#ensuring ??= this.#fill(agent, signal).finally(() => {
      this.#ensuring = undefined;
    });
    await this.#ensuring;
  }

  async #fill(agent: TaskAgent, signal: AbortSignal): Promise<void> {
    await this.#engine.ensureSharedVolume(
      { name: agent.volume, image: agent.image.id, path: taskAgentPath, labels: { [label.role]: "shared" } },
      signal,
    );
    this.#ensured = { volume: agent.volume, until: this.#clock.monotonic() + believeForMs };
  }
}

/** Named by content: another build of the image is another volume. */
function volumeName(image: Image): string {
  return `cofferdam-task-agent-${image.id
    .replace(/^sha256:/, "")
    .replaceAll(/[^a-zA-Z0-9]/g, "")
    .slice(0, 16)}`;
}

function parseArgv(text: string | undefined): string[] | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "");
    const isArgv = Array.isArray(value) && value.length > 0 && value.every((part) => typeof part === "string");
    return isArgv ? value : undefined;
  } catch {
    return undefined;
  }
}
