/**
 * A call to the control plane that did not work. `status` is undefined where no answer came, or none that makes sense.
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
    return this.status === undefined || this.status === 408 || this.status === 429 || this.status >= 500;
  }

  /** The token itself is refused: another try with it is worth nothing until somebody has changed something. */
  get refusesToken(): boolean {
    return this.status === 401 || this.status === 403;
  }

  /** The token is void: another attempt runs, or the task is over. Nobody listens to this one any more. */
  get fenced(): boolean {
    return this.status === 401 || (this.status === 409 && this.code === "stale-attempt") || this.adopted;
  }

  /** Another process of this agent goes on with the task, in the container that it has. */
  get adopted(): boolean {
    return this.status === 409 && this.code === "adopted";
  }
}

export function isFenced(error: unknown): error is ApiFailure {
  return error instanceof ApiFailure && error.fenced;
}
