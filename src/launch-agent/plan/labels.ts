/** Labels of everything that this agent makes. They are its ledger: what is not labelled does not exist for it. */
export const label = {
  agent: "dev.cofferdam.agent",
  task: "dev.cofferdam.task",
  attempt: "dev.cofferdam.attempt",
  class: "dev.cofferdam.class",
  /** Which control plane it is of, where an agent has to tell several apart. */
  scope: "dev.cofferdam.scope",
  /** Classes whose agent it is of, with commas between: the one that its task was queued for, or all that its agent serves. */
  classes: "dev.cofferdam.classes",
  /** Milliseconds since the epoch: whoever finds it later than this may remove it. */
  deadline: "dev.cofferdam.deadline",
  role: "dev.cofferdam.role",
  /** On a helper: which process of the agent made it. */
  session: "dev.cofferdam.session",
  /** On what waits in the pool: its own name, so that its workspace tells whose it is. */
  member: "dev.cofferdam.member",
  /** On what waits in the pool: the hash of all that decides the container's shape. */
  shape: "dev.cofferdam.shape",
  /** On a sandbox: its own name. On what joins one: the name of the sandbox, whose network it is in. */
  sandbox: "dev.cofferdam.sandbox",
  /** On a sandbox: the hash of all that its network lets through. */
  rules: "dev.cofferdam.rules",
  /** On the task-agent image: the command line that starts the task agent, as a JSON array. */
  argv: "dev.cofferdam.argv",
  /** On the task-agent image: the command line of its `nft`, as a JSON array. */
  nft: "dev.cofferdam.nft",
  /** On an image: a folder that is empty and belongs to the image's user, so a workspace there needs no other owner. */
  workspace: "dev.cofferdam.workspace",
} as const;

/**
 * What an object is for. `pool` was started before there was a task for it, and stays so when it has got one: which one
 * that is, is known to its agent, and to the task agent inside. `sandbox` is an idle container that holds a network, which
 * a task's containers join; it serves one task after another. `helper` runs for moments and belongs to no task. `shared` is
 * what all agents of a host have together: the task agent's volume, and the network that sandboxes are on.
 */
export type Role = "task" | "service" | "pool" | "sandbox" | "helper" | "shared";
