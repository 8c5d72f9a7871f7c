/**
 * `required`: a task that may reach out runs in a sandbox, or not here. `preferred`: where none can be had, it runs on the engine's
 * default bridge, which is said in its log; not where its class has rules. `off`: always on the default bridge, the same.
 */
export type SandboxMode = "required" | "preferred" | "off";

export interface SandboxOptions {
  mode: SandboxMode;
  /** How many are kept ready, all needs together. */
  ready: number;
  /** What has lived this long is given to nobody any more. */
  maxAgeMs: number;
  /** A need that no task has had in this time is given up. */
  forgetMs: number;
  /** How often it is looked whether the rules are still those that are wanted. */
  checkMs: number;
  /** The same, while nothing runs. */
  restMs: number;
  /** Between a start and the next refill, so that the task has the machine for itself first. */
  pauseMs: number;
}

/** Those that wait for tasks, and those that tasks and waiting containers have. */
export interface SandboxesState {
  ready: number;
  used: number;
  /** What they may take. */
  bytes: number;
}

export const noSandboxes: SandboxesState = { ready: 0, used: 0, bytes: 0 };

export const defaultSandboxes: SandboxOptions = {
  mode: "off",
  ready: 2,
  maxAgeMs: 60 * 60_000,
  forgetMs: 10 * 60_000,
  checkMs: 60_000,
  restMs: 10 * 60_000,
  pauseMs: 100,
};
