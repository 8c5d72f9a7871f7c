import { randomUUID } from "node:crypto";
import {
  type ContainerPlan,
  type Engine,
  EngineError,
  type EngineErrorCode,
  type HelperPlan,
  type HelperResult,
  type OwnedObject,
  type SharedVolume,
} from "../engine.ts";
import { CallerError, faultOfLabels, faultOfPlan, faultOfStart } from "./caller.ts";
import { DummyContainer, type DummyProgram } from "./container.ts";
import { type DummyImage, DummyImages } from "./images.ts";
import { helperObject, objectsOf, sharedObject } from "./objects.ts";
import { obeyOrders } from "./orders.ts";

export { CallerError } from "./caller.ts";
export type { DummyProcess } from "./container.ts";

export interface DummyEngineOptions {
  /** Plays every container's process; absent: `obeyOrders`. */
  program?: DummyProgram;
  images?: Record<string, DummyImage>;
  /** Every image that is not listed is there. */
  anyImageIsPresent?: boolean;
  /** Labels without which a create is the caller's fault. */
  requiredLabels?: readonly string[];
  /** Asked before every call; what it returns is thrown. */
  fault?: (call: keyof Engine, subject: string) => EngineError | undefined;
  /** Plays what helpers run; absent: says nothing and succeeds. */
  helper?: (plan: HelperPlan) => HelperResult | Promise<HelperResult>;
  newId?: () => string;
}

/** Containers that exist in memory only. Beside the contract, what tests want to look at and to bring about. */
export interface DummyEngine extends Engine {
  /** Every breach of the contract so far. Empty at the end of a good test, even where the code swallowed them. */
  readonly callerErrors: readonly CallerError[];
  /** Every call, in order: `create cofferdam-1`. */
  readonly calls: readonly string[];
  /** As when the engine is stopped: every call fails as `unreachable`, attachments break, containers run on. */
  goAway(): void;
  comeBack(): void;
  /** As when somebody pauses a container, by name or id: it is told to be paused. Its program runs on. */
  setPaused(id: string, isPaused: boolean): void;
}

/** Environment orders beside those of `obeyOrders`: `DUMMY_CREATE_ERROR` and `DUMMY_START_ERROR` name an error's code. */
export function createDummyEngine(options: DummyEngineOptions = {}): DummyEngine {
  return new Dummy(options);
}

class Dummy implements DummyEngine {
  readonly callerErrors: CallerError[] = [];
  readonly calls: string[] = [];
  readonly #options: DummyEngineOptions;
  readonly #images: DummyImages;
  readonly #containers = new Map<string, DummyContainer>();
  readonly #volumes = new Map<string, SharedVolume>();
  readonly #networks = new Map<string, string>();
  /** Those that run, by name. */
  readonly #helpers = new Map<string, HelperPlan>();
  /** Ids of containers that a caller removed: it has no business with them any more. */
  readonly #removed = new Set<string>();
  #away = false;

  constructor(options: DummyEngineOptions) {
    this.#options = options;
    const { images, anyImageIsPresent } = options;
    this.#images = new DummyImages({
      ...(images === undefined ? {} : { images }),
      ...(anyImageIsPresent === undefined ? {} : { anyIsPresent: anyImageIsPresent }),
    });
  }

  goAway(): void {
    this.#away = true;
    const error = new EngineError("unreachable", "the dummy engine went away");
    for (const container of this.#containers.values()) container.breakAttachments(error);
  }

  comeBack(): void {
    this.#away = false;
  }

  setPaused(id: string, isPaused: boolean): void {
    if (this.#helpers.has(id)) return;
    const container = this.#get(id);
    if (container.isRunning) container.phase = isPaused ? "paused" : "running";
  }

  info: Engine["info"] = async (signal) => {
    this.#enter("info", "", signal);
    const limits = { cpus: 2, memoryBytes: 8 * 1024 ** 3, cgroupVersion: 2 as const, runtimes: ["dummy"] };
    return { kind: "dummy", version: "1", apiVersion: "1.41", architecture: "amd64", ...limits };
  };

  image: Engine["image"] = async (reference, signal) => {
    this.#enter("image", reference, signal);
    return this.#images.find(reference);
  };

  account: Engine["account"] = async (image, user, signal) => {
    this.#enter("account", image.id, signal);
    return this.#images.account(image, user);
  };

  pull: Engine["pull"] = async (reference, { signal, onProgress }) => {
    this.#enter("pull", reference, signal);
    onProgress?.(`Pulling ${reference}`);
    return this.#images.pull(reference);
  };

  checkAccess: Engine["checkAccess"] = async (reference, { signal }) => {
    this.#enter("checkAccess", reference, signal);
  };

  images: Engine["images"] = async (signal) => {
    this.#enter("images", "", signal);
    const used = new Set([...this.#containers.values()].map(({ plan }) => this.#images.find(plan.image)?.id));
    return this.#images.list().map((image) => ({ ...image, inUse: used.has(image.id) }));
  };

  tagImage: Engine["tagImage"] = async (id, name, signal) => {
    this.#enter("tagImage", name, signal);
    if (!this.#images.tag(id, name)) throw notFound("image", id);
  };

  removeImage: Engine["removeImage"] = async (name, signal) => {
    this.#enter("removeImage", name, signal);
    const image = this.#images.find(name);
    const isLast = image !== undefined && image.tags.length <= 1;
    const isUsed = [...this.#containers.values()].some(({ plan }) => this.#images.find(plan.image)?.id === image?.id);
    if (isLast && isUsed) throw new EngineError("conflict", `a container was made of image ${name}`);
    this.#images.remove(name);
  };

  ensureSharedVolume: Engine["ensureSharedVolume"] = async (volume, signal) => {
    this.#enter("ensureSharedVolume", volume.name, signal);
    if (this.#images.find(volume.image) === undefined) throw notFound("image", volume.image);
    this.#volumes.set(volume.name, volume);
  };

  ensureNetwork: Engine["ensureNetwork"] = async ({ name, subnets }, signal) => {
    this.#enter("ensureNetwork", name, signal);
    const subnet = this.#networks.get(name) ?? subnets[0];
    if (subnet === undefined) throw new EngineError("failed", `no subnet is left for network ${name}`);
    this.#networks.set(name, subnet);
    return { id: `network-${name}`, subnets: [subnet] };
  };

  removeNetwork: Engine["removeNetwork"] = async (id, signal) => {
    this.#enter("removeNetwork", id, signal);
    const isOn = ({ plan: { network } }: DummyContainer) => network.mode === "shared" && network.network === id;
    if ([...this.#containers.values()].some(isOn)) return false;
    this.#networks.delete(id.replace(/^network-/, ""));
    return true;
  };

  runHelper: Engine["runHelper"] = async (plan, signal) => {
    this.#enter("runHelper", plan.name, signal);
    this.#blame(faultOfLabels(plan, this.#options.requiredLabels ?? []));
    if (this.#images.find(plan.image) === undefined) throw notFound("image", plan.image);
    const { network } = plan;
    if (network.mode === "join" && this.#find(network.container)?.phase !== "running")
      throw new EngineError("failed", `container ${network.container}, whose network is to be joined, does not run`);
    this.#helpers.set(plan.name, plan);
    try {
      const played = Promise.resolve(this.#options.helper?.(plan) ?? { code: 0, stdout: "", stderr: "" });
      return await orGivenUp(played, signal, `run ${plan.name}`);
    } finally {
      this.#helpers.delete(plan.name);
    }
  };

  create: Engine["create"] = async (plan, signal) => {
    this.#enter("create", plan.name, signal);
    this.#blame(faultOfPlan(plan, this.#options.requiredLabels ?? []));
    const missing = plan.shared.find((shared) => !this.#volumes.has(shared.volume));
    this.#blame(missing && `plan ${plan.name} mounts volume ${missing.volume}, which nobody ensured`);
    if (plan.network.mode === "shared" && !this.#networks.has(plan.network.network.replace(/^network-/, "")))
      throw notFound("network", plan.network.network);
    if (this.#images.find(plan.image) === undefined) throw notFound("image", plan.image);
    if (this.#find(plan.name) !== undefined) throw new EngineError("conflict", `the name ${plan.name} is taken`);
    this.#throwOrdered(plan, "DUMMY_CREATE_ERROR");
    const id = (this.#options.newId ?? randomUUID)();
    this.#containers.set(id, new DummyContainer(id, structuredClone(plan)));
    return id;
  };

  attach: Engine["attach"] = async (id, signal) => {
    this.#enter("attach", id, signal);
    this.#blame(this.#removed.has(id) ? `attach to container ${id} after its removal` : undefined);
    return this.#get(id).attach();
  };

  start: Engine["start"] = async (id, signal) => {
    this.#enter("start", id, signal);
    this.#blame(this.#removed.has(id) ? `start of container ${id} after its removal` : undefined);
    const container = this.#get(id);
    this.#blame(faultOfStart(container));
    const { network } = container.plan;
    if (network.mode === "join" && this.#find(network.container)?.phase !== "running")
      throw new EngineError("failed", `container ${network.container}, whose network is to be joined, does not run`);
    this.#throwOrdered(container.plan, "DUMMY_START_ERROR");
    container.start(this.#options.program ?? obeyOrders);
  };

  wait: Engine["wait"] = async (id, signal) => {
    this.#enter("wait", id, signal);
    const container = this.#get(id);
    if (container.phase === "created") this.#blame(`wait for container ${container.plan.name}, which was not started`);
    return await orGivenUp(container.ended, signal, `wait for container ${id}`);
  };

  inspect: Engine["inspect"] = async (id, signal) => {
    this.#enter("inspect", id, signal);
    const container = this.#find(id);
    if (container === undefined) return undefined;
    return {
      id: container.id,
      name: container.plan.name,
      running: container.isRunning,
      phase: container.phase,
      labels: this.#labelsOf(container),
    };
  };

  kill: Engine["kill"] = async (id, signal) => {
    this.#enter("kill", id, signal);
    this.#find(id)?.kill();
  };

  remove: Engine["remove"] = async (id, signal) => {
    this.#enter("remove", id, signal);
    const container = this.#find(id);
    if (container === undefined) return;
    container.remove();
    this.#containers.delete(container.id);
    this.#removed.add(container.id);
  };

  list: Engine["list"] = async (labels, signal) => {
    this.#enter("list", "", signal);
    return this.#objects().filter((object) =>
      Object.entries(labels).every(([name, value]) => object.labels[name] === value),
    );
  };

  paused: Engine["paused"] = async (labels, signal) => {
    this.#enter("paused", "", signal);
    const isWanted = (container: DummyContainer) =>
      Object.entries(labels).every(([name, value]) => this.#labelsOf(container)[name] === value);
    return [...this.#containers.values()]
      .filter((container) => container.phase === "paused" && isWanted(container))
      .map(({ plan }) => plan.name);
  };

  removeObject: Engine["removeObject"] = async (object, signal) => {
    this.#enter("removeObject", object.id, signal);
    if (object.kind === "container") await this.remove(object.id, signal);
    else this.#volumes.delete(object.id);
  };

  /** As engines do: the image's, and the plan's over them. */
  #labelsOf({ plan }: DummyContainer): Record<string, string> {
    return { ...this.#images.find(plan.image)?.labels, ...plan.labels };
  }

  #objects(): OwnedObject[] {
    const containers = [...this.#containers.values()];
    return [
      ...containers.flatMap((container) => objectsOf(container, this.#labelsOf(container))),
      ...[...this.#helpers.values()].map(helperObject),
      ...[...this.#volumes.values()].map(sharedObject),
    ];
  }

  #enter(call: keyof Engine, subject: string, signal: AbortSignal): void {
    this.calls.push(`${call} ${this.#find(subject)?.plan.name ?? subject}`.trim());
    if (signal.aborted) throw new EngineError("aborted", `${call} ${subject}: given up by the caller`);
    if (this.#away) throw new EngineError("unreachable", `${call} ${subject}: the dummy engine is away`);
    const fault = this.#options.fault?.(call, subject);
    if (fault !== undefined) throw fault;
  }

  #blame(fault: string | undefined): void {
    if (fault === undefined) return;
    const error = new CallerError(fault);
    this.callerErrors.push(error);
    throw error;
  }

  #find(idOrName: string): DummyContainer | undefined {
    const byId = this.#containers.get(idOrName);
    return byId ?? [...this.#containers.values()].find((container) => container.plan.name === idOrName);
  }

  #get(id: string): DummyContainer {
    const container = this.#find(id);
    if (container === undefined) throw notFound("container", id);
    return container;
  }

  #throwOrdered(plan: ContainerPlan, order: string): void {
    const code = plan.environment[order];
    if (code !== undefined) throw new EngineError(code as EngineErrorCode, `the dummy was told to answer ${code}`);
  }
}

async function orGivenUp<T>(work: Promise<T>, signal: AbortSignal, what: string): Promise<T> {
  const { promise: given, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(new EngineError("aborted", `${what}: given up by the caller`));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, given]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function notFound(kind: string, id: string): EngineError {
  return new EngineError("not-found", `there is no ${kind} ${id}`);
}
