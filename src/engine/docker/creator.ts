import type { ContainerPlan } from "../engine.ts";
import type { Accounts } from "./account.ts";
import type { Client } from "./client.ts";
import { createContainer } from "./container.ts";
import { withDeadline } from "./deadline.ts";
import { findImage } from "./image.ts";
import { removeContainer } from "./remove.ts";

/**
 * Creates containers so that giving up leaves none behind: engines finish a create whose caller has gone, so it is
 * awaited in the background and its container removed. A removal by name waits for a create that is under way.
 */
export class Creator {
  readonly #client: Client;
  readonly #accounts: Accounts;
  readonly #helperLabels: () => Readonly<Record<string, string>>;
  readonly #underWay = new Map<string, Promise<unknown>>();

  constructor(options: { client: Client; accounts: Accounts; helperLabels: () => Readonly<Record<string, string>> }) {
    this.#client = options.client;
    this.#accounts = options.accounts;
    this.#helperLabels = options.helperLabels;
  }

  async create(plan: ContainerPlan, signal: AbortSignal): Promise<string> {
    const resolved = await this.#withStrictUser(plan, signal);
    const { signal: unstoppable } = new AbortController();
    const creating = createContainer(this.#client, resolved, { signal: unstoppable, helperLabels: this.#helperLabels });
    const settled = creating.catch(() => {});
    this.#underWay.set(plan.name, settled);
    void settled.then(() => {
      if (this.#underWay.get(plan.name) === settled) this.#underWay.delete(plan.name);
    });
    try {
      return await withDeadline(
        { signal, timeoutMs: undefined, what: `create container ${plan.name}` },
        () => creating,
      );
    } catch (error) {
      if (signal.aborted) this.#abandon(plan.name, creating);
      throw error;
    }
  }

  async remove(id: string, signal: AbortSignal): Promise<void> {
    const creating = this.#underWay.get(id);
    if (creating !== undefined)
      await withDeadline({ signal, timeoutMs: undefined, what: `remove container ${id}` }, () => creating);
    await removeContainer(this.#client, id, signal);
  }

  #abandon(name: string, creating: Promise<string>): void {
    const gone = creating.then(
      async (id) => await removeContainer(this.#client, id, new AbortController().signal).catch(() => {}),
      () => {},
    );
    this.#underWay.set(name, gone);
    void gone.then(() => this.#underWay.get(name) === gone && this.#underWay.delete(name));
  }

  /** Only the image's own files tell whether a name is root. */
  async #withStrictUser(plan: ContainerPlan, signal: AbortSignal): Promise<ContainerPlan> {
    if (plan.isolation !== "strict" || /^\d+(:\d+)?$/.test(plan.user ?? "")) return plan;
    const image = await findImage(this.#client, plan.image, signal);
    if (image === undefined) return plan;
    const { uid, gid } = await this.#accounts.find(image, plan.user, signal);
    return { ...plan, user: `${uid}:${gid}` };
  }
}
