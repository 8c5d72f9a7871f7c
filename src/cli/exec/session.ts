import { mkdir, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import type { ControlPlane } from "../../control-plane/control-plane.ts";
import { openControlPlane } from "../../control-plane/index.ts";
import type { Engine } from "../../engine/engine.ts";
import { type LaunchAgent, startLaunchAgent } from "../../launch-agent/index.ts";
import { systemClock } from "../../lib/clock.ts";
import type { Io } from "../io.ts";
import { routeLocally } from "./classes.ts";
import { findEngine } from "./find-engine.ts";
import type { LocalProject } from "./project.ts";
import { openWorkingTree } from "./working-tree.ts";

/** A control plane and a launch agent in this process, talking over a unix socket that only this user can reach. */
export interface Session extends AsyncDisposable {
  controlPlane: ControlPlane;
  /** Aborts when the engine went away in mid-run. The reason is for people. */
  engineLost: AbortSignal;
  /** Resolves when every container of this run is gone, or could not be removed in time. */
  settle(): Promise<void>;
  /** Ends what still runs without grace. */
  hurry(): void;
  /** Undefined when nothing was stored. */
  artifactsDirectory(pipelineId: string): Promise<string | undefined>;
}

export interface SessionOptions {
  project: LocalProject;
  env: Io["env"];
  /** The launch agent's name; nobody else's. */
  name: string;
}
