import type { ResponseResult } from "../../protocol/channel.ts";
import { initialCreditBytes } from "../../protocol/sync.ts";

/** The launch agent gave a request up, and says why. */
export class RequestError extends Error {
  override name = "RequestError";
  /** Nobody's fault who wrote the job. */
  readonly infrastructure: boolean;
  constructor(message: string, infrastructure: boolean) {
    super(message);
    this.infrastructure = infrastructure;
  }
}

/** The attachment ended while the request was open. It is to be made again on the next one. */
export class BrokenError extends Error {
  override name = "BrokenError";
}

/** One open request: its answer, what streams down, and the credit for what streams up. */
export class Transfer {
  readonly id: number;
  readonly response: Promise<ResponseResult>;
  readonly #grant: (bytes: number) => void;
  #answer: (result: ResponseResult) => void = () => {};
  #refuse: (error: Error) => void = () => {};
  #credit = initialCreditBytes;
  #queue: Buffer[] = [];
  #ended = false;
  #answered = false;
  #error: Error | undefined;
  #wake: (() => void)[] = [];

  /** `grant` tells the other side that so many more bytes may come. */
  constructor(id: number, grant: (bytes: number) => void) {
    this.id = id;
    this.#grant = grant;
    this.response = new Promise((resolve, reject) => {
      this.#answer = resolve;
      this.#refuse = reject;
    });
    // It may fail while nobody waits for it, in the middle of an upload.
    this.response.catch(() => {});
  }

  /** Whether what goes up is still wanted. */
  get open(): boolean {
    return !this.#answered && !this.#error;
  }

  respond(result: ResponseResult): void {
    this.#answered = true;
    this.#answer(result);
    this.#notify();
  }

  push(bytes: Buffer): void {
    this.#queue.push(bytes);
    this.#notify();
  }

  end(): void {
    this.#ended = true;
    this.#notify();
  }

  addCredit(bytes: number): void {
    this.#credit += bytes;
    this.#notify();
  }

  fail(error: Error): void {
    this.#error ??= error;
    this.#refuse(this.#error);
    this.#notify();
  }

  /** Waits until so many bytes may be sent, and takes them. False: nobody wants them any more. */
  async takeCredit(bytes: number): Promise<boolean> {
    while (this.open && this.#credit < bytes) await this.#change();
    if (!this.open) return false;
    this.#credit -= bytes;
    return true;
  }

  /** What streams down, in order. Credit is granted as it is taken. */
  async *body(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      if (this.#error) throw this.#error;
      const bytes = this.#queue.shift();
      if (bytes) {
        yield bytes;
        if (!this.#ended) this.#grant(bytes.byteLength);
      } else if (this.#ended) return;
      else await this.#change();
    }
  }

  #notify(): void {
    for (const resolve of this.#wake.splice(0)) resolve();
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#wake.push(resolve));
  }
}
