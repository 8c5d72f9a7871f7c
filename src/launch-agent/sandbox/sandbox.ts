import {
  type Attachment,
  type ContainerPlan,
  EngineError,
  type HelperPlan,
  type HelperResult,
} from "../../engine/engine.ts";
import { busybox } from "../plan/deadline.ts";
import { label, type Role } from "../plan/labels.ts";
import { removeContainers } from "../task/clean-up.ts";
import type { Ground } from "../task/ground.ts";
import { settledWithin } from "../task/or-abort.ts";
import { endOf, likenessOf, sandboxCommand } from "./program.ts";
import { isInForce, type Seen, seenIn } from "./read-back.ts";
import { type Rules, table } from "./rules.ts";

const mebibyte = 1024 * 1024;
/** An idle shell and its init; room for the engine's own start. */
export const sandboxBytes = 32 * mebibyte;
const answerMs = 5_000;
/** What a task can write may have no end. Whatever says more is not as new. */
const mostAnswerBytes = mebibyte;

/** What helpers are made of. */
export interface HelperKit {
  ground: Ground;
  /** The task-agent image. */
  image: string;
  newId: () => string;
  /** Names of those that run now. */
  helpers: Set<string>;
}

/** What all sandboxes of one agent are made of. */
export interface SandboxKit extends HelperKit {
  nft: string[];
  /** Id of the network that they are on. */
  network: string;
}

export interface SandboxOrder {
  rules: Rules;
  localNames: readonly string[];
  lifeMs: number;
}

interface Made {
  id: string;
  name: string;
  localNames: readonly string[];
  deadlineMs: number;
  attachment: Attachment;
  rules: Rules;
}

/** In the place of a hash. */
const unknownRules = "unknown";

/** An idle container that holds a network namespace, with its rules in force. */
export class Sandbox {
  readonly name: string;
  readonly id: string;
  readonly localNames: readonly string[];
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  /** By the monotonic clock. */
  readonly bornAtMs: number;
  rules: Rules;
  /** Who has, or had, it. Undefined while nobody ever did. */
  tenant: string | undefined;
  readonly #kit: SandboxKit;
  readonly #attachment: Attachment;
  /** As it looked when nobody had been in it. */
  #likeness = "";
  /** By its present task, under rules that were replaced since. */
  #noted: Seen = { refused: [], unlisted: [] };
  #said = "";

  private constructor(kit: SandboxKit, made: Made) {
    this.#kit = kit;
    this.id = made.id;
    this.name = made.name;
    this.localNames = made.localNames;
    this.deadlineMs = made.deadlineMs;
    this.bornAtMs = kit.ground.clock.monotonic();
    this.rules = made.rules;
    this.#attachment = made.attachment;
    for (const stream of ["stdin", "stdout", "stderr"] as const) made.attachment[stream].on("error", () => {});
    made.attachment.stderr.resume();
    made.attachment.stdout.on("data", (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString("latin1")).slice(0, mostAnswerBytes);
    });
  }

  /** Rejects where it cannot be had whole; then nothing is left of it. `name` is its container's. */
  static async make(kit: SandboxKit, name: string, order: SandboxOrder): Promise<Sandbox> {
    const { engine } = kit.ground;
    const plan = sandboxPlan(kit, name, order);
    const signal = new AbortController().signal;
    try {
      const id = await engine.create(plan, signal);
      const attachment = await engine.attach(id, signal);
      const { localNames, rules } = order;
      const deadlineMs = Number(plan.labels[label.deadline]);
      const sandbox = new Sandbox(kit, { id, name, localNames, deadlineMs, attachment, rules });
      await engine.start(id, signal);
      await sandbox.apply(order.rules);
      sandbox.#likeness = await sandbox.#look();
      return sandbox;
    } catch (error) {
      await removeContainers([name], kit.ground);
      throw error;
    }
  }

  /**
   * One that an earlier process of this agent has left, with its task in it. Which rules are in force there nobody knows until it is
   * renewed with `rules`. For this task only: as which names it has is not known either.
   */
  static async found(kit: SandboxKit, name: string, rules: Rules): Promise<Sandbox> {
    const attachment = await kit.ground.engine.attach(name, new AbortController().signal);
    const inForce = { ...rules, hash: unknownRules };
    return new Sandbox(kit, { id: name, name, localNames: [], deadlineMs: 0, attachment, rules: inForce });
  }

  /** Whether somebody has said which rules are in force. */
  get areRulesKnown(): boolean {
    return this.rules.hash !== unknownRules;
  }

  /** Puts these rules in force in place of those that are. Rejects where it cannot be seen that they are. */
  async apply(rules: Rules): Promise<void> {
    const nft = this.#kit.nft.map(quoted).join(" ");
    const script = `printf '%s\\n' "$@" | ${nft} -f - && exec ${nft} -j list table ${table}`;
    const { code, stdout, stderr } = await this.#help([busybox, "sh", "-c", script, "nft", ...rules.script]);
    if (code !== 0 || !isInForce(stdout, rules)) {
      const words = stderr.trim().slice(0, 500) || `exit code ${code}, and no such rules`;
      throw new Error(`the rules of a sandbox could not be set: ${words}`);
    }
    this.rules = rules;
  }

  /** The same for one that a task is in: what was noted until now stays. */
  async renew(rules: Rules): Promise<void> {
    if (this.rules.hasLists) this.#noted = await this.seen();
    await this.apply(rules);
  }

  /** What its present task was refused, and what was let through for being audited. */
  async seen(): Promise<Seen> {
    const { code, stdout, stderr } = await this.#help([...this.#kit.nft, "-j", "list", "table", ...table.split(" ")]);
    if (code !== 0) throw new Error(`the rules of a sandbox could not be read: ${stderr.trim().slice(0, 500)}`);
    const now = seenIn(stdout);
    const both = (which: keyof Seen) => [...new Set([...this.#noted[which], ...now[which]])].toSorted();
    return { refused: both("refused"), unlisted: both("unlisted") };
  }

  /**
   * Whether a next task will find it as the first one did; what is noted of the last one is forgotten. Only to be asked when nothing is
   * in it any more. Never rejects.
   */
  async isAsNew(): Promise<boolean> {
    try {
      if ((await this.#look()) !== this.#likeness) return false;
      this.#noted = { refused: [], unlisted: [] };
      if (this.rules.hasLists) await this.apply(this.rules);
      return true;
    } catch {
      return false;
    }
  }

  /** Resolves when it has ended, through whoever's doing. Never rejects. */
  async ended(signal: AbortSignal): Promise<void> {
    await this.#kit.ground.engine.wait(this.id, signal).catch(() => undefined);
  }

  /** Never rejects. */
  async remove(): Promise<void> {
    this.#attachment.close();
    await removeContainers([this.name], this.#kit.ground);
  }

  async #look(): Promise<string> {
    const { clock } = this.#kit.ground;
    const word = this.#kit.newId();
    this.#said = "";
    const { stdin, stdout } = this.#attachment;
    const { promise, resolve } = Promise.withResolvers<void>();
    const isWhole = () => this.#said.endsWith(endOf(word));
    const onData = () => {
      if (isWhole() || this.#said.length >= mostAnswerBytes) resolve();
    };
    stdout.on("data", onData);
    stdin.write(`${word}\n`);
    const isAnswered = await settledWithin(promise, answerMs, clock);
    stdout.off("data", onData);
    if (!isAnswered) throw new Error("a sandbox does not answer");
    if (!isWhole()) throw new Error("a sandbox has more to say of itself than it can have");
    return likenessOf(this.#said.slice(0, -endOf(word).length), word);
  }

  async #help(command: string[]): Promise<HelperResult> {
    return await runHelper(this.#kit, { command, network: { mode: "join", container: this.id } });
  }
}

/** For moments only: what is left of it after a crash goes within minutes. */
const helperLifeMs = 2 * 60_000;
/** Tasks and the rules of all the others wait for it. */
const helperMs = 30_000;

/** Rejects with EngineError; `unreachable` where it does not end, be it paused, or its end not told. */
export async function runHelper(
  { ground, image, newId, helpers }: HelperKit,
  plan: Pick<HelperPlan, "command" | "network">,
): Promise<HelperResult> {
  const { engine, clock, agent } = ground;
  const name = `cofferdam-helper-${newId()}`;
  const labels = {
    ...agent.labels,
    [label.role]: "sandbox" satisfies Role,
    [label.sandbox]: name,
    [label.deadline]: String(clock.now() + helperLifeMs),
  };
  const patience = new AbortController();
  helpers.add(name);
  try {
    const running = engine.runHelper({ name, labels, image, ...plan }, patience.signal);
    if (await settledWithin(running, helperMs, clock)) return await running;
    const error = new EngineError("unreachable", `run ${name}: it did not end within ${helperMs / 1000} s`);
    patience.abort(error);
    throw error;
  } catch (error) {
    // The engine's side goes on removing it, and may fail at that, too: whoever ends looks once more.
    ground.leftovers.add(name);
    throw error;
  } finally {
    helpers.delete(name);
  }
}

function sandboxPlan({ ground, image, network }: SandboxKit, name: string, order: SandboxOrder): ContainerPlan {
  const { agent, clock } = ground;
  return {
    name,
    labels: {
      ...agent.labels,
      [label.role]: "sandbox" satisfies Role,
      [label.sandbox]: name,
      [label.rules]: order.rules.hash,
      [label.deadline]: String(clock.now() + order.lifeMs),
    },
    image,
    entrypoint: sandboxCommand(order.lifeMs),
    command: [],
    environment: {},
    user: "65534:65534",
    workingDirectory: "/",
    ...(order.localNames.length > 0 ? { localNames: [...order.localNames] } : {}),
    limits: { memoryBytes: sandboxBytes, cpus: 1, pids: 16, openFiles: 256 },
    isolation: "strict",
    network: { mode: "shared", network },
    shared: [],
  };
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
