import { type ContainerState, isEngineError } from "../../engine/engine.ts";
import type { Secret } from "../../lib/secret.ts";
import type { AdoptRequest, OpenSession } from "../../protocol/agent-api.ts";
import type { AdoptedClaim, AgentApi } from "../api/client.ts";
import { errorFacts } from "../log.ts";
import { label, type Role } from "../plan/labels.ts";
import type { Adoptable, FoundPrimary, FoundService } from "../task/adoptable.ts";
import { removeContainers } from "../task/clean-up.ts";
import type { Ground } from "../task/ground.ts";
import { handOverSubject } from "../task/proof.ts";
import { probe } from "./probe.ts";

export interface AdoptionOptions {
  ground: Ground;
  api: Pick<AgentApi, "adopt" | "prove">;
  session: OpenSession;
  /** Of the classes that this agent serves. */
  tokens: readonly Secret[];
  /** Whether what carries these labels was an earlier process's of this agent, in these classes. */
  isLeft: (labels: Readonly<Record<string, string>>) => boolean;
  signal: AbortSignal;
}

interface Found {
  taskId: string;
  attempt: number;
  primary: FoundPrimary;
}

/**
 * What earlier processes of this agent were running, taken over from them at the control plane. To be asked only once this
 * process is the agent of its name. What is not in the answer belongs to nobody. Rejects with EngineError where the engine
 * cannot be asked.
 */
export async function adoptTasks(options: AdoptionOptions): Promise<Adoptable[]> {
  const states = await containersOfDead(options);
  const found = await Promise.all(states.map((state) => identify(state, options)));
  const distinct = await withoutDoubles(
    found.filter((one) => one !== undefined),
    options,
  );
  const adopted = await Promise.all(distinct.map(async (one) => await adoptOne(one, states, options)));
  return adopted.filter((one) => one !== undefined);
}

async function containersOfDead({ ground, isLeft, signal }: AdoptionOptions): Promise<ContainerState[]> {
  const { engine, agent } = ground;
  const objects = await engine.list({ [label.agent]: agent.name }, signal);
  const containers = objects.filter(({ kind, labels }) => kind === "container" && isLeft(labels));
  const states = await Promise.all(containers.map(({ id }) => engine.inspect(id, signal)));
  return states.filter((state) => state !== undefined);
}

/** Which task runs in a container. Undefined: none. */
async function identify(state: ContainerState, options: AdoptionOptions): Promise<Found | undefined> {
  const { role, task, attempt } = {
    role: state.labels[label.role],
    task: state.labels[label.task],
    attempt: Number(state.labels[label.attempt]),
  };
  if (role === "task" && task !== undefined && Number.isSafeInteger(attempt))
    return { taskId: task, attempt, primary: await look(state, options) };
  if (role !== "pool" || state.phase !== "running") return undefined;
  // Its labels are older than its task.
  const primary = await look(state, options);
  const accepted = primary.greeting?.accepted;
  if (accepted && isProven(state.name, accepted, options))
    return { taskId: accepted.task, attempt: accepted.attempt, primary };
  primary.greeting?.attachment.close();
  return undefined;
}

async function look(state: ContainerState, { ground, signal }: AdoptionOptions): Promise<FoundPrimary> {
  if (state.phase !== "running") return { state };
  try {
    const greeting = await probe(state.id, ground, signal);
    return greeting ? { state, greeting } : { state };
  } catch (error) {
    signal.throwIfAborted();
    if (isEngineError(error, "unreachable")) throw error;
    return { state };
  }
}

/**
 * One container for each attempt: whoever begins it owns all that carries the attempt in a label. Removes the others. The one that has
 * the task goes before one that may get it, and that before one that has never been started.
 */
async function withoutDoubles(found: readonly Found[], { ground }: AdoptionOptions): Promise<Found[]> {
  const rank = ({ primary: { state, greeting } }: Found) =>
    Number(greeting?.accepted !== undefined) * 4 + Number(state.running) * 2 + Number(state.phase !== "created");
  const kept = new Map<string, Found>();
  for (const one of found.toSorted((a, b) => rank(b) - rank(a))) {
    const key = `${one.taskId} ${one.attempt}`;
    if (!kept.has(key)) kept.set(key, one);
  }
  const distinct = [...kept.values()];
  const doubles = found.filter((one) => !distinct.includes(one)).map(({ primary }) => primary);
  for (const { greeting } of doubles) greeting?.attachment.close();
  await removeContainers(
    doubles.map(({ state }) => state.id),
    ground,
  );
  return distinct;
}

async function adoptOne(
  found: Found,
  states: readonly ContainerState[],
  options: AdoptionOptions,
): Promise<Adoptable | undefined> {
  const { ground, session, signal } = options;
  const { taskId, attempt, primary } = found;
  const facts = { task: taskId, attempt, container: primary.state.name };
  try {
    const request = { name: session.name, session: session.session, task_id: taskId, attempt };
    const claim = await adoptWithAny(request, options);
    if (claim) {
      ground.log.info(facts, "task adopted from an earlier process of this agent");
      const sandbox = sandboxOf(primary.state, states);
      const services = servicesOf(found, states);
      return { claim, primary, services, ...(sandbox === undefined ? {} : { sandbox }) };
    }
    ground.log.info(facts, "a task of an earlier process of this agent is over: its container goes");
  } catch (error) {
    signal.throwIfAborted();
    ground.log.warn({ ...facts, ...errorFacts(error) }, "a task of an earlier process could not be adopted");
  }
  primary.greeting?.attachment.close();
  return undefined;
}

/** The task is of one of the classes. */
async function adoptWithAny(
  request: AdoptRequest,
  { api, tokens, ground, signal }: AdoptionOptions,
): Promise<AdoptedClaim | undefined> {
  for (const token of tokens) {
    const claim = await api.adopt(request, { token, signal, giveUpAfterMs: ground.limits.cutOffMs });
    if (claim) return claim;
  }
  return undefined;
}

function isProven(
  container: string,
  accepted: { task: string; attempt: number; proof?: string | undefined },
  { api, tokens }: AdoptionOptions,
): boolean {
  const subject = handOverSubject(container, accepted);
  return tokens.some((token) => accepted.proof === api.prove(subject, token));
}

/** A container has its image's labels, too, so the word of a label alone is nobody's sandbox: what it names is removed in the end. */
function sandboxOf(state: ContainerState, states: readonly ContainerState[]): string | undefined {
  const isOurs = ({ name, labels }: ContainerState) =>
    name === state.labels[label.sandbox] && labels[label.role] === ("sandbox" satisfies Role);
  return states.find(isOurs)?.name;
}

function servicesOf({ taskId, attempt }: Found, states: readonly ContainerState[]): FoundService[] {
  return states
    .filter(
      ({ labels }) =>
        labels[label.role] === "service" && labels[label.task] === taskId && labels[label.attempt] === String(attempt),
    )
    .map(({ id, name }) => ({ id, name, step: Number(name.slice(name.lastIndexOf("-") + 1)) }));
}
