import type { ContainerPlan, Image } from "../../src/engine/engine.ts";

/** A small container that needs nothing. */
export function aPlan(changes: Partial<ContainerPlan> = {}): ContainerPlan {
  return {
    name: "one",
    labels: { owner: "test" },
    image: "dummy",
    environment: {},
    workingDirectory: "/",
    limits: { memoryBytes: 1 << 26, cpus: 1, pids: 10, openFiles: 10 },
    isolation: "standard",
    network: { mode: "none" },
    shared: [],
    ...changes,
  };
}

/** An image that says nothing of itself. */
export function anImage(changes: Partial<Image> = {}): Image {
  return {
    id: `sha256:${"0".repeat(64)}`,
    architecture: "amd64",
    user: "",
    environment: {},
    entrypoint: [],
    command: [],
    labels: {},
    tags: [],
    digests: [],
    ...changes,
  };
}
