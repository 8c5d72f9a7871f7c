import { abuseFaults } from "./cases/abuse.ts";
import { agentFaults } from "./cases/agent.ts";
import { agentHostFaults } from "./cases/agent-host.ts";
import { claimFaults } from "./cases/claims.ts";
import { controlPlaneFaults } from "./cases/control-plane.ts";
import { diskFaults } from "./cases/disk.ts";
import { engineFaults } from "./cases/engine.ts";
import { lifecycleFaults } from "./cases/lifecycle.ts";
import { networkFaults } from "./cases/network.ts";
import type { Fault } from "./fault.ts";

/** By the ids of the lists that reliability is argued with: F networks, T tokens and claims, D engines, K life cycles. */
export const faults: readonly Fault[] = [
  ...controlPlaneFaults,
  ...networkFaults,
  ...claimFaults,
  ...abuseFaults,
  ...engineFaults,
  ...diskFaults,
  ...agentFaults,
  ...agentHostFaults,
  ...lifecycleFaults,
];
