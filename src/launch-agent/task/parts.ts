import type { Claim } from "../api/client.ts";
import type { LaunchLane } from "../relay/launch-lane.ts";
import type { TaskContainers } from "./containers.ts";
import type { TaskContext } from "./context.ts";
import type { TaskLink } from "./link.ts";
import type { TaskServices } from "./services.ts";

/** One attempt of one task on this agent, as all that works on it sees it. */
export interface RunParts {
  claim: Claim;
  context: TaskContext;
  lane: LaunchLane;
  link: TaskLink;
  containers: TaskContainers;
  services: TaskServices;
  /** Ends everything of the run but its report and its cleanup. */
  signal: AbortSignal;
  /** What is waited for before the run is over. Never rejects. */
  alongside: (work: Promise<unknown>) => void;
  /** The steps' container is there: its end is the run's business from now on. */
  follow: (id: string) => void;
  emit: (type: RunEvent) => void;
}

export type RunEvent = "hit" | "miss" | "started" | "accepted" | "adopted" | "removed";
