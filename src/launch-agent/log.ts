/** What this agent needs of a logger; pino's shape: facts first, then a static message. */
export interface Log {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** An error as facts of a log line: its words, never its stack. */
export function errorFacts(error: unknown): { error: string; code?: string } {
  if (!(error instanceof Error)) return { error: String(error) };
  const code = "code" in error && typeof error.code === "string" ? { code: error.code } : {};
  return { error: error.message, ...code };
}
