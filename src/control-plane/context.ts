import type { OrbSource } from "../config/orb-source.ts";
import type { Clock } from "../lib/clock.ts";
import type { AgentRegister } from "./agents/register.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import type { ControlPlaneOptions } from "./control-plane.ts";
import type { Notifier } from "./notifier.ts";
import type { Store } from "./store/store.ts";

/** What every part of the control plane works with. */
export interface Context {
  store: Store;
  blobs: BlobStore;
  clock: Clock;
  notifier: Notifier;
  agents: AgentRegister;
  newId: () => string;
  route?: ControlPlaneOptions["route"];
  defaultClass: string | undefined;
  launchAgentImage: string | undefined;
  sources: ControlPlaneOptions["sources"];
  compile?: ControlPlaneOptions["compile"];
  /** Where orbs come from that are not published here. */
  orbs?: OrbSource;
  /** How long an agent holds a task without a word. */
  leaseMs: number;
  /** Scheduled workflows start here by themselves. */
  schedules: boolean;
  /** Aborts when the control plane closes: whoever waits then gives up. */
  closing: AbortSignal;
}
