import { readFileSync } from "node:fs";
import type { EngineAddress } from "../../engine/docker/index.ts";
import { createDockerReplacer } from "../../engine/docker/replacer.ts";
import type { Engine } from "../../engine/engine.ts";
import { systemClock } from "../../lib/clock.ts";
import type { Secret } from "../../lib/secret.ts";
import { AgentApi } from "../api/client.ts";
import type { ApiAddress } from "../api/http.ts";
import { ImageStore } from "../images/image-store.ts";
import type { LaunchAgent } from "../launch-agent.ts";
import { leaveNothing } from "../ledger/leave-nothing.ts";
import { errorFacts, type Log } from "../log.ts";
import type { Options } from "../options.ts";
import { findReplaceable } from "../update/own-container.ts";
import { successionVariable, takeOver } from "../update/succession.ts";
import { keepUpToDate } from "../update/update.ts";
import { imageRulesOf } from "./collaborators.ts";
import type { SignalSource } from "./signals.ts";

export interface OwnImageOptions {
  options: Options;
  api: ApiAddress & { token: Secret };
  engine: Engine;
  engineAddress: EngineAddress;
  version: string;
  environment: Readonly<Record<string, string | undefined>>;
  signals: SignalSource;
  log: Log;
}

/** What a process does about the image that it is of, from its start to its end. */
export interface OwnImage {
  /** Before the first claim: where this process was started to replace an agent, that one has drained and is gone afterwards. */
  takePlaceOfPredecessor(): Promise<void>;
  /** Where the operator wants it, replaces the agent by the image that the control plane names. Resolves when the agent has ended. */
  followReleases(agent: Pick<LaunchAgent, "status" | "closed">): Promise<void>;
  /** Leaves nothing on the engine that no other agent uses. */
  close(): Promise<void>;
}

const apiTimeoutMs = 10_000;
const leaveWithinMs = 10_000;

export function openOwnImage(own: OwnImageOptions): OwnImage {
  const { options, api, engine, version, environment, log } = own;
  const { token, ...address } = api;
  const clock = systemClock;
  const client = new AgentApi({ address, token, version, clock, random: Math.random, timeoutMs: apiTimeoutMs });
  const wanted = async (signal: AbortSignal): Promise<string | undefined> => await client.wantedImage(signal);
  const replacer = createDockerReplacer({ address: own.engineAddress });
  const world = { engine, replacer, mountinfo: mountinfo(), clock, log };
  const stopping = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) own.signals.on(signal, () => stopping.abort(new Error(signal)));
  return {
    takePlaceOfPredecessor: async () => {
      const predecessor = environment[successionVariable];
      if (predecessor === undefined) return;
      // Whoever gets this far has an engine that answers: what is left is the control plane, and the token.
      const ready = async (signal: AbortSignal): Promise<void> => void (await wanted(signal));
      const drainMs = options.CIRCLECI_RUNNER_MAX_RUN_TIME;
      await takeOver({ ...world, predecessor, ready, drainMs, signal: stopping.signal });
    },
    followReleases: async (agent) => {
      if (!options.COFFERDAM_AUTO_UPDATE || options.LAUNCH_AGENT_RUNNER_DISABLE_AUTO_UPDATE) return;
      void agent.closed.then(() => stopping.abort(new Error("the agent has ended")));
      const { signal } = stopping;
      try {
        const found = await findReplaceable(replacer, world.mountinfo, signal);
        if ("problem" in found) return log.warn({ problem: found.problem }, "this launch agent cannot update itself");
        const images = new ImageStore({ engine, clock, random: Math.random, ...imageRulesOf(options) });
        const isIdle = (): boolean => agent.status().running === 0;
        await keepUpToDate({ ...world, images, own: found.own, wanted, isIdle, signal });
      } catch (error) {
        if (!signal.aborted) log.warn(errorFacts(error), "this launch agent cannot update itself");
      }
    },
    close: async () => {
      await client.close();
      await leaveNothing(engine, AbortSignal.timeout(leaveWithinMs)).catch((error: unknown) =>
        log.warn(errorFacts(error), "could not remove the volume of the task agent"),
      );
    },
  };
}

function mountinfo(): string {
  try {
    return readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return "";
  }
}
