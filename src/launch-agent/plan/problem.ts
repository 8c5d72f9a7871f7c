/** Why there is no plan for a task. It is the config's fault, and the message is for whoever wrote the config. */
export interface Problem {
  problem: string;
}

export function isProblem(value: object): value is Problem {
  return "problem" in value;
}
