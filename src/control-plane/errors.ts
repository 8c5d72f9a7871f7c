export type ErrorCode =
  | "bad-request"
  | "config-errors"
  | "unauthorized"
  | "forbidden"
  | "not-found"
  | "conflict"
  | "stale-attempt"
  | "adopted"
  | "name-taken"
  | "gap"
  | "too-large"
  | "no-more-attempts"
  | "too-many-tries"
  | "unavailable";

const statusOf: Record<ErrorCode, number> = {
  "bad-request": 400,
  "config-errors": 400,
  unauthorized: 401,
  forbidden: 403,
  "not-found": 404,
  conflict: 409,
  "stale-attempt": 409,
  adopted: 409,
  "name-taken": 409,
  gap: 409,
  "no-more-attempts": 409,
  "too-large": 413,
  "too-many-tries": 429,
  unavailable: 503,
};

/** What the caller did wrong, or asked for in vain. The message says what, where, and what to do next. */
export class ControlPlaneError extends Error {
  override name = "ControlPlaneError";
  readonly code: ErrorCode;
  /** Said beside code and message. */
  readonly details: Record<string, unknown>;
  /** When the caller may come again. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: Record<string, unknown>; retryAfterSeconds?: number } = {},
  ) {
    super(message, "cause" in options ? { cause: options.cause } : {});
    this.code = code;
    this.details = options.details ?? {};
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  /** The HTTP status that tells it. */
  get status(): number {
    return statusOf[this.code];
  }
}
