/** Names of what can be waited for. Told after a commit, by the process that made it; others find out by looking. */
export const topics = {
  /** A pipeline has new events. */
  pipeline: (id: string): string => `pipeline:${id}`,
  /** A task was put into a queue. */
  queue: (name: string): string => `queue:${name}`,
  /** A task's agent has something to learn. */
  task: (id: string): string => `task:${id}`,
  /** An agent is to give a sign of life: its calls are answered, so that it makes others. */
  agent: (queue: string, name: string): string => `agent:${queue}:${name}`,
};
