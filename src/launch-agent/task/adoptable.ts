import type { Attachment, ContainerState } from "../../engine/engine.ts";
import type { AdoptedClaim } from "../api/client.ts";
import { needOf } from "../sandbox/need.ts";
import { silence } from "./hand-over.ts";
import type { RunParts } from "./parts.ts";

/** What an earlier process of this agent has left of a task, and what the control plane knows of it. */
export interface Adoptable {
  claim: AdoptedClaim;
  primary: FoundPrimary;
  services: FoundService[];
  /** Name of the sandbox whose network its containers are in. */
  sandbox?: string;
}

export interface FoundPrimary {
  state: ContainerState;
  /** Undefined where its task agent did not answer: it has ended, or stands still. */
  greeting?: FoundGreeting;
}

/** A task agent that was greeted anew. */
export interface FoundGreeting {
  attachment: Attachment;
  nonce: Uint8Array;
  /** The task that it has; undefined: none. */
  accepted: { task: string; attempt: number; proof?: string | undefined } | undefined;
}

export interface FoundService {
  id: string;
  name: string;
  /** Its step in the launch lane. */
  step: number;
}

/** Goes on where the earlier process was. `anew`: the steps have surely not begun, nothing is left, and the task is to be started. */
export async function resumeTask(found: Adoptable, parts: RunParts): Promise<"resumed" | "anew"> {
  const { containers, link, emit, follow, alongside } = parts;
  const { state, greeting } = found.primary;
  // What is known first goes last: the others are in its network.
  if (found.sandbox !== undefined) containers.own({ id: found.sandbox, name: found.sandbox }, { primary: false });
  for (const service of found.services) containers.own(service, { primary: false });
  containers.own(state, { primary: true });
  if (state.phase === "created" || (greeting && !(await isAtWork(found.primary, parts)))) {
    const session = link.takeBack();
    await session?.close();
    await containers.removeAll();
    containers.forgetPrimary();
    return "anew";
  }
  if (greeting && !link.session) link.open(greeting.attachment, openingOf(greeting));
  const need = needOf(found.claim.task.container, []);
  if (found.sandbox !== undefined) alongside(containers.ownSandbox(found.sandbox, need));
  followServices(found, parts);
  emit("adopted");
  follow(state.id);
  return "resumed";
}

/** One that greets without a task gets none any more: it ends, unless it has begun in its last moment. */
async function isAtWork({ state, greeting }: FoundPrimary, { link, context }: RunParts): Promise<boolean> {
  if (!greeting || greeting.accepted) return true;
  const session = link.open(greeting.attachment, openingOf(greeting));
  return !(await silence(state.id, session, context)) || link.begun;
}

function openingOf({ nonce }: FoundGreeting) {
  return { nonce, opening: "greeted" } as const;
}

/** What they said while nobody was attached is lost: engines keep no log of our containers. */
function followServices(found: Adoptable, { lane, services, context, signal, alongside }: RunParts): void {
  for (const { id, name, step } of found.services) {
    if (lane.isOpen(step))
      alongside(services.follow({ id, name, step, attachment: context.engine.attach(id, signal) }));
  }
}
