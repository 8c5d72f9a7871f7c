/**
 * How a program that runs in a container makes way for a newer image of itself. Not a part of `Engine`: what runs tasks has no
 * business with containers that it did not make. Errors are EngineError, and every call takes a signal, as there.
 */
export interface Replacer {
  /** Undefined when there is no such container. */
  look(id: string, signal: AbortSignal): Promise<OwnContainer | undefined>;
  /**
   * Makes and starts a container of `image`, which is present, with all that was decided for container `id` when it was made: mounts,
   * environment, networks, labels, limits. What came from the old image comes from the new one. It has no restart policy yet.
   * Returns its id. `conflict`: the name is taken.
   */
  copy(id: string, copy: ContainerCopy, signal: AbortSignal): Promise<string>;
  /** Asks a container to stop, and waits until it has; killed after the grace. One that does not run, or is gone, is fine. */
  stop(id: string, graceMs: number, signal: AbortSignal): Promise<void>;
  /** `conflict`: the name is taken. */
  rename(id: string, name: string, signal: AbortSignal): Promise<void>;
  /** One of the engine's words: `no`, `always`, `unless-stopped`, `on-failure`. */
  setRestartPolicy(id: string, policy: string, signal: AbortSignal): Promise<void>;
}

export interface ContainerCopy {
  image: string;
  name: string;
  /** Beside the old one's, and in its stead where the names are equal. */
  environment: Readonly<Record<string, string>>;
}

export interface OwnContainer {
  id: string;
  name: string;
  running: boolean;
  /** As it was asked for: `cofferdam/launch-agent:1.2`. */
  imageReference: string;
  imageId: string;
  labels: Record<string, string>;
  restartPolicy: string;
  /** Host ports that only one container can have. */
  publishesPorts: boolean;
}
