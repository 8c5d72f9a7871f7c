/** How the launch agent's process ends. */
export const exitCode = { done: 0, failed: 1, settings: 2, engine: 3, refused: 4, canceled: 130 } as const;

export const exitMeanings: Readonly<Record<keyof typeof exitCode, string>> = {
  done: "drained, single task done, or idle for as long as it may be",
  failed: "a fault of the agent's own; `health`: it is not",
  settings: "a setting is wrong or missing, or bad usage",
  engine: "no engine, no permission to use it, or one that is too old; no sandbox can be had where they are required",
  refused:
    "the control plane refuses all tokens, for longer than a mishap lasts; `--check`: it cannot be asked, or refuses one",
  canceled: "stopped by a second signal: running tasks were cancelled",
};
