import { type Attachment, type ContainerPlan, isEngineError } from "../../engine/engine.ts";
import { removeContainers } from "./clean-up.ts";
import type { TaskContext } from "./context.ts";

/** The containers of one task: the one that the steps run in, and its services. Remembers all that may exist. */
export class TaskContainers {
  readonly #context: TaskContext;
  readonly #signal: AbortSignal;
  /** By name: the id, or the name itself while no id is known. */
  readonly #known = new Map<string, string>();
  #primary: string | undefined;
  #mayRun = false;

  constructor(context: TaskContext, signal: AbortSignal) {
    this.#context = context;
    this.#signal = signal;
  }

  /** The id of the steps' container, once it exists. */
  get primary(): string | undefined {
    return this.#primary;
  }

  /** Whether anything may have run in it: a start whose answer is lost may have worked. */
  get mayRun(): boolean {
    return this.#mayRun;
  }

  /** Nothing is waited for in between that could be done before or after: this is what a user waits for. */
  async startPrimary(plan: ContainerPlan, onAttached: (attachment: Attachment) => void): Promise<string> {
    const { engine, gate } = this.#context;
    return await gate.run(async () => {
      this.#signal.throwIfAborted();
      const id = await this.#create(plan);
      this.#primary = id;
      onAttached(await engine.attach(id, this.#signal));
      this.#mayRun = true;
      try {
        await engine.start(id, this.#signal);
      } catch (error) {
        this.#mayRun = isEngineError(error, "unreachable") || isEngineError(error, "aborted");
        throw error;
      }
      return id;
    });
  }

  async startService(plan: ContainerPlan): Promise<{ id: string; attachment: Attachment }> {
    const { engine, gate } = this.#context;
    return await gate.run(async () => {
      this.#signal.throwIfAborted();
      const id = await this.#create(plan);
      const attachment = await engine.attach(id, this.#signal);
      await engine.start(id, this.#signal);
      return { id, attachment };
    });
  }

  /** Services first: they live in the network of the steps' container. Never rejects. */
  async removeAll(): Promise<void> {
    await removeContainers([...this.#known.values()].toReversed(), this.#context);
  }

  /** Not under the task's signal: a create that is cut off may still make the container. The engine bounds it. */
  async #create(plan: ContainerPlan): Promise<string> {
    const { engine } = this.#context;
    const unstoppable = new AbortController().signal;
    this.#known.set(plan.name, plan.name);
    const create = async (): Promise<string> => {
      const id = await engine.create(plan, unstoppable);
      this.#known.set(plan.name, id);
      return id;
    };
    try {
      return await create();
    } catch (error) {
      if (!isEngineError(error, "conflict")) throw error;
      // Left by a create whose answer was lost: this very attempt is ours alone.
      await engine.remove(plan.name, unstoppable);
      return await create();
    }
  }
}
