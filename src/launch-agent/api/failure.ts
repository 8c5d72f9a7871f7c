/**
 * A call to the control plane that did not work. `status` is undefined where no answer came, or none of a control plane.
 * It answers two questions: is it worth another try, and does the control plane still know this attempt.
 */
export class ApiFailure extends Error {
  override name = "ApiFailure";
  readonly status: number | undefined;
  readonly code: string;
  /** How long the server wants to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, facts: { status?: number; code: string; retryAfterMs?: number; cause?: unknown }) {
    super(message, facts.cause === undefined ? {} : { cause: facts.cause });
    this.status = facts.status;
    this.code = facts.code;
    this.retryAfterMs = facts.retryAfterMs;
  }

  /** Few words, whatever a server answers: they become labels of metrics. */
  get kind(): string {
    const { status } = this;
    if (status === undefined) return "no-answer";
    return status === 401 || status === 409 || status === 429 ? String(status) : `${Math.floor(status / 100)}xx`;
  }

  get retryable(): boolean {
    return this.status === undefined || passes(this.status);
  }

  /** The token itself is refused: another try with it is worth nothing until somebody has changed something. */
  get refusesToken(): boolean {
    return this.status === 401 || this.status === 403;
  }

  /** The token is void: another attempt runs, or the task is over. Nobody listens to this one any more. */
  get fenced(): boolean {
    return this.#is(401, "unauthorized") || this.#is(409, "stale-attempt") || this.adopted;
  }

  /** Another process of this agent goes on with the task, in the container that it has. */
  get adopted(): boolean {
    return this.#is(409, "adopted");
  }

  /** There is no such thing there, in the control plane's own words. */
  get notFound(): boolean {
    return this.#is(404, "not-found");
  }

  /** By its code, too: what ends a task is not to be mistaken. */
  #is(status: number, code: string): boolean {
    return this.status === status && this.code === code;
  }
}

/** Whether another try may bring another status than this one. */
export function passes(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

export function isFenced(error: unknown): error is ApiFailure {
  return error instanceof ApiFailure && error.fenced;
}
