import type { Attachment } from "../../engine/engine.ts";
import type { Task, Work } from "../../protocol/task.ts";
import type { ChannelViolation } from "../channel/violation.ts";
import { RecordRelay, type RecordRelayOptions } from "../relay/records.ts";
import type { BlobCalls } from "../relay/requests.ts";
import { TaskLane } from "../relay/task-lane.ts";
import { type Greeting, TaskSession } from "./session.ts";

export interface LinkOptions {
  task: Task;
  blobs: BlobCalls;
  post: RecordRelayOptions["post"];
  /** Up to which record the task's lane is stored already. */
  acked?: number;
  signal: AbortSignal;
  /** Before the task agent's last record is passed on. Never rejects. */
  beforeEnd: () => Promise<void>;
  /** The task agent has the task: said once an attachment. */
  onAccepted: () => void;
  /** The task agent's last record is stored. */
  onReported: () => void;
  onViolation: (violation: ChannelViolation) => void;
  /** A call to the control plane failed for good. */
  onApiFailure: (error: unknown) => void;
}

/**
 * What joins a task to its task agent: one attachment after another, and one lane of records over all of them. Whatever was not
 * acknowledged when an attachment broke comes again with the next one.
 */
export class TaskLink {
  readonly #options: LinkOptions;
  readonly #lane: TaskLane;
  #acked: number;
  #session: TaskSession | undefined;
  /** It was offered the task, and has not taken it: nothing that it does counts. */
  #onTrial = false;
  #missed = false;
  #work: Work | undefined;
  #begun = false;
  #accepted = Promise.withResolvers<void>();

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#acked = options.acked ?? 0;
    const { post, onApiFailure } = options;
    const relay = new RecordRelay({ post, onAck: (seq) => this.#onAck(seq), onFailure: onApiFailure });
    this.#lane = new TaskLane(relay, options);
  }

  /** Whether the task agent has the task. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Whether nothing was missed that would say that the task has begun. */
  get hasHeardAll(): boolean {
    return !this.#missed || this.#session?.greeted === true;
  }

  /** Something may have been said while nobody was attached: it is known again once the task agent greets. */
  loseSight(): void {
    this.#missed = true;
  }

  /** Whether the task has been handed over, be it accepted or not. */
  get isTold(): boolean {
    return this.#work !== undefined;
  }

  /** Whether it has said anything of its work. */
  get hasRecords(): boolean {
    return this.#lane.hasBegun;
  }

  /** Settles when the task agent has the task; it may never. */
  get accepted(): Promise<void> {
    return this.#accepted.promise;
  }

  get session(): TaskSession | undefined {
    return this.#session;
  }

  /** Whether the task agent has said how the task ended, be that stored or not. */
  get saidEnd(): boolean {
    return this.#lane.ended !== undefined;
  }

  get stderr(): string {
    return this.#session?.stderr ?? "";
  }

  /** A new attachment, in the place of the one before. `onTrial`: until the task is accepted, nothing that comes ends it. */
  open(attachment: Attachment, greeting: Greeting, options: { onTrial?: boolean } = {}): TaskSession {
    void this.#session?.close();
    this.#onTrial = options.onTrial === true;
    if (greeting.opening === "again") this.#missed = true;
    const { task, blobs, signal, onApiFailure } = this.#options;
    const session: TaskSession = new TaskSession({
      task,
      attachment,
      greeting,
      blobs,
      lane: this.#lane,
      signal,
      onAccepted: () => this.#onAccepted(session),
      onViolation: (violation) => {
        if (!this.#onTrial && this.#session === session) this.#options.onViolation(violation);
      },
      onApiFailure,
    });
    this.#session = session;
    // One that has the task leaves it at that; one that was never told gets it now.
    if (greeting.opening === "again" && this.#work && !this.#begun) session.handOver(this.#work);
    return session;
  }

  /** `proof`: see proof.ts. */
  handOver(work: Work, proof?: string): void {
    this.#work = work;
    this.#session?.handOver(work, proof);
  }

  /** What it was offered to did not begin, and never will. */
  takeBack(): TaskSession | undefined {
    const session = this.#session;
    this.#session = undefined;
    this.#onTrial = false;
    this.#missed = false;
    this.#work = undefined;
    this.#begun = false;
    this.#accepted = Promise.withResolvers();
    return session;
  }

  /** Asks the task agent to end. The second time it does so without grace. */
  cancel(status: "canceled" | "timedout", reason: string): void {
    this.#session?.cancel(status, reason);
  }

  /** When every record that came is stored, or none can be any more. */
  async flushed(): Promise<void> {
    await this.#lane.flushed();
  }

  async close(): Promise<void> {
    await this.#session?.close();
  }

  #onAccepted(session: TaskSession): void {
    if (this.#session !== session) return;
    this.#onTrial = false;
    this.#begun = true;
    // What was stored while nobody was attached is not to be sent again.
    if (this.#acked > 0) session.ack(this.#acked);
    this.#accepted.resolve();
    this.#options.onAccepted();
  }

  #onAck(seq: number): void {
    this.#acked = seq;
    this.#session?.ack(seq);
    const { ended } = this.#lane;
    if (ended && seq >= ended.seq) this.#options.onReported();
  }
}
