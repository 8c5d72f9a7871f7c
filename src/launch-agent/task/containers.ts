import { type Attachment, type ContainerPlan, isEngineError } from "../../engine/engine.ts";
import { errorFacts } from "../log.ts";
import type { Member, Waiting } from "../pool/member.ts";
import type { LaunchLane } from "../relay/launch-lane.ts";
import { enterSandbox } from "../sandbox/enter.ts";
import type { OpenPlan, SandboxNeed } from "../sandbox/need.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { tellSeen } from "../sandbox/tell-seen.ts";
import { removeContainers } from "./clean-up.ts";
import type { TaskContext } from "./context.ts";
import { orAbort } from "./or-abort.ts";

export interface StartOptions {
  /** Milliseconds since the epoch: as long as the task may live. */
  untilMs: number;
  /** Says, for people, what the network lets through. */
  onNetwork: (words: string[]) => void;
  onAttached: (attachment: Attachment) => void;
}

/** The containers of one task: the one that the steps run in, and its services. Remembers all that may exist. */
export class TaskContainers {
  readonly #context: TaskContext;
  readonly #signal: AbortSignal;
  /** By name: the id, or the name itself while no id is known. */
  readonly #known = new Map<string, string>();
  readonly #sandboxes: Sandbox[] = [];
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
  async startPrimary(open: OpenPlan, options: StartOptions): Promise<string> {
    const { engine, gate } = this.#context;
    const { plan, sandbox, words } = await enterSandbox(open, this.#context, {
      untilMs: options.untilMs,
      signal: this.#signal,
    });
    if (sandbox) this.#sandboxes.push(sandbox);
    options.onNetwork(words);
    return await gate.run(async () => {
      this.#signal.throwIfAborted();
      const id = await this.#create(plan);
      this.#primary = id;
      options.onAttached(await engine.attach(id, this.#signal));
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

  /** One that waits becomes the steps' container, and this task's to remove. Undefined where it cannot be had after all. */
  async adopt(member: Member): Promise<Waiting | undefined> {
    this.#known.set(member.name, member.name);
    if (member.sandbox) this.#sandboxes.push(member.sandbox);
    try {
      const waiting = await orAbort(member.ready, this.#signal);
      this.#primary = waiting.id;
      this.#mayRun = true;
      return waiting;
    } catch {
      this.#signal.throwIfAborted();
      return undefined;
    }
  }

  /** Whether the container of this name is, or was, this task's. */
  knows(name: string): boolean {
    return this.#known.has(name);
  }

  /** An earlier process of this agent made it. */
  own(container: { id: string; name: string }, options: { primary: boolean }): void {
    this.#known.set(container.name, container.id);
    if (!options.primary) return;
    this.#primary = container.id;
    this.#mayRun = true;
  }

  /** The same of the sandbox that they are in: its rules are renewed from now on, as it can be had. Never rejects. */
  async ownSandbox(name: string, need: SandboxNeed | undefined): Promise<void> {
    const { sandboxes, log } = this.#context;
    if (!need || sandboxes.mode === "off") return;
    const adopting = sandboxes.adopt(name, need);
    try {
      const sandbox = await orAbort(adopting, this.#signal);
      this.#signal.throwIfAborted();
      this.#sandboxes.push(sandbox);
      this.#known.delete(name);
    } catch (error) {
      adopting.then(
        (sandbox) => sandboxes.giveBack(sandbox),
        () => {},
      );
      if (!this.#signal.aborted)
        log.warn({ sandbox: name, ...errorFacts(error) }, "the rules of a task stay as they are");
    }
  }

  /** All of it is removed, and another one may be made. */
  forgetPrimary(): void {
    this.#primary = undefined;
    this.#mayRun = false;
  }

  /** It does not run any more, and another one takes its place. Removes it; never rejects. */
  async discardPrimary(): Promise<void> {
    const id = this.#primary;
    this.forgetPrimary();
    if (id !== undefined) await removeContainers([id], this.#context);
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

  /** What its network refused, where its class has rules of its own. Never rejects. */
  async tellSeen(lane: LaunchLane): Promise<void> {
    await Promise.all(this.#sandboxes.map((sandbox) => tellSeen(sandbox, { lane, log: this.#context.log })));
  }

  /** Services first: they live in the network of the steps' container. Never rejects. */
  async removeAll(): Promise<void> {
    const all = [...this.#known.values()].toReversed();
    await removeContainers(all, this.#context);
    const doubtful = all.some((container) => this.#context.leftovers.has(container));
    for (const sandbox of this.#sandboxes.splice(0)) this.#context.sandboxes.giveBack(sandbox, { doubtful });
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
