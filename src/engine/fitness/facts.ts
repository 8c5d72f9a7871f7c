/** What an engine says of itself and of its host, as far as it decides whether tasks are safe there and run well. */
export interface HostFacts {
  kind: "docker" | "podman";
  version: string;
  apiVersion: string;
  /** Engine, containerd, runc, …: what the engine is made of. */
  components: Component[];
  operatingSystem: string;
  kernel: string;
  architecture: string;
  cpus: number;
  memoryBytes: number;
  cgroupVersion: 1 | 2;
  /** The engine can limit these at all. */
  limits: { memory: boolean; swap: boolean; cpu: boolean; pids: boolean };
  storageDriver: string;
  /** Of the storage driver: `extfs`, `xfs`. */
  backingFilesystem: string;
  dataRoot: string;
  /** Names only: `seccomp`, `apparmor`, `selinux`, `userns`, `rootless`. */
  securityOptions: string[];
  /** A profile of another name than the engine's own: `unconfined`. */
  seccompProfile: string;
  authorizationPlugins: string[];
  liveRestore: boolean;
  swarm: boolean;
  defaultRuntime: string;
  runtimes: string[];
  /** The host's clock when it answered; milliseconds since the epoch. Undefined where the engine does not tell. */
  clockMs: number | undefined;
  /** The engine's own words. */
  warnings: string[];
}

export interface Component {
  name: string;
  version: string;
  /** The source revision; a distribution's package version where the distribution has put it there. */
  revision: string;
}
