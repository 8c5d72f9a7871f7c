import { createHash } from "node:crypto";
import { type Engine, EngineError, type Image } from "../../engine/engine.ts";
import { fullName, type ImageName, readImageName, repositoryName } from "../../engine/image-name.ts";
import type { Clock } from "../../lib/clock.ts";
import type { PullPolicy } from "../../protocol/task.ts";
import { ConfigFault } from "../task/end.ts";
import type { AllowList } from "./allow-list.ts";
import { hasMark, markName, markRegistry, namesOf } from "./marks.ts";
import { Pulls, type PullsOptions, type WantedPull } from "./pulls.ts";
import type { RegistryAuth, RegistryCredentials } from "./registry-auth.ts";

export interface WantedImage extends WantedPull {
  /** In any spelling. */
  reference: string;
  /** `if-not-present` when not given. */
  policy?: PullPolicy;
}

/** What an operator may say of the images of one agent. */
export interface ImageRules extends Pick<PullsOptions, "tries" | "pauseMs"> {
  /** Beside the class's own list. */
  allowed?: AllowList;
  /** For images that bring no credentials of their own. */
  auth?: RegistryAuth;
  /** What this agent pulls is marked in the engine; see marks.ts. Without, it is neither collected nor kept from other tasks. */
  marks?: boolean;
}

export interface ImageStoreOptions extends Omit<PullsOptions, "makeRoom">, ImageRules {
  engine: Engine;
  clock: Clock;
}

interface Came {
  name: ImageName;
  credentials: RegistryCredentials | undefined;
  /** What the name stood for before. */
  present: Image | undefined;
  signal: AbortSignal;
}

/** A tag may be moved by somebody else on this host, so what was read is believed for a burst of tasks only. */
const believeForMs = 10_000;
/** How long a registry's word counts that these credentials may have a private image. */
const grantedForMs = 3_600_000;

/** Images of the engine: read once a burst, pulled once for all tasks that wait for the same one. */
export class ImageStore {
  readonly allowed: AllowList | undefined;
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #auth: RegistryAuth | undefined;
  readonly #marks: boolean;
  readonly #pulls: Pulls;
  readonly #known = new Map<string, { image: Image; until: number }>();
  /** By image and credentials: until when. */
  readonly #granted = new Map<string, number>();
  readonly #usedAt = new Map<string, number>();
  #makeRoom: (signal: AbortSignal) => Promise<boolean> = async () => false;

  constructor(options: ImageStoreOptions) {
    this.allowed = options.allowed;
    this.#engine = options.engine;
    this.#clock = options.clock;
    this.#auth = options.auth;
    this.#marks = options.marks ?? false;
    this.#pulls = new Pulls({ ...options, makeRoom: async (signal) => await this.#makeRoom(signal) });
  }

  /** The image, by the policy. Rejects with EngineError, ConfigFault, or the signal's reason. */
  async ensure(wanted: WantedImage): Promise<Image> {
    const name = checkedName(wanted.reference);
    const found = await this.#find(name, wanted);
    this.#usedAt.set(found.id, this.#clock.monotonic());
    return found;
  }

  async present(reference: string, signal: AbortSignal): Promise<Image | undefined> {
    return await this.#look(fullName(checkedName(reference)), signal);
  }

  /** What was believed turned out wrong: look again, at everything. */
  forgetAll(): void {
    this.#known.clear();
  }

  /** Asked, once a pull, where the engine's disk is full: makes room on it, and says whether it could. */
  whenFull(makeRoom: (signal: AbortSignal) => Promise<boolean>): void {
    this.#makeRoom = makeRoom;
  }

  /** When a task last asked for it, by the monotonic clock. */
  usedAtMs(imageId: string): number | undefined {
    return this.#usedAt.get(imageId);
  }

  async #find(name: ImageName, wanted: WantedImage): Promise<Image> {
    const credentials = wanted.credentials ?? this.#auth?.find(name);
    const present = await this.#look(fullName(name), wanted.signal);
    const policy = wanted.policy ?? "if-not-present";
    if (present && policy !== "always" && this.#mayUse(present, credentials)) return present;
    if (policy === "never") throw neverPulled(name, present);
    const { signal, onProgress } = wanted;
    const asked = {
      ...this.#askedFor(name, present, policy),
      signal,
      onProgress,
      ...(credentials ? { credentials } : {}),
    };
    const pulled = await this.#pulls.join(asked);
    await this.#came(pulled, { name, credentials, present, signal });
    return pulled;
  }

  /** What is here already and not to be renewed is only asked for, by its content: the tag may mean something else by now. */
  #askedFor(
    name: ImageName,
    present: Image | undefined,
    policy: PullPolicy,
  ): Pick<WantedPull, "reference" | "present"> {
    const mayBeNewer = policy === "always" && name.digest === undefined;
    const digest = present && !mayBeNewer ? (name.digest ?? digestOf(present, name)) : undefined;
    if (!present || digest === undefined) return { reference: fullName(name) };
    return { reference: fullName({ ...name, digest }), present };
  }

  async #came(image: Image, pull: Came): Promise<void> {
    this.#granted.set(grantOf(image, pull.credentials), this.#clock.monotonic() + grantedForMs);
    if (this.#marks) await this.#mark(image, pull);
    // What was read before knows nothing of the marks.
    this.#known.clear();
  }

  async #mark(image: Image, { name, credentials, present, signal }: Came): Promise<void> {
    const isPrivate = credentials !== undefined;
    if (isPrivate && !hasMark(image, "private"))
      await this.#engine.tagImage(image.id, markName("private", image.id), signal);
    // Anybody may have it, as it turned out.
    if (!isPrivate && hasMark(image, "private")) await this.#engine.removeImage(markName("private", image.id), signal);
    const wasHere = present?.id === image.id || namesOf(image).some((other) => other !== fullName(name));
    if (!wasHere && !hasMark(image, "pulled"))
      await this.#engine.tagImage(image.id, markName("pulled", image.id), signal);
  }

  #mayUse(image: Image, credentials: RegistryCredentials | undefined): boolean {
    if (!hasMark(image, "private")) return true;
    return (this.#granted.get(grantOf(image, credentials)) ?? 0) > this.#clock.monotonic();
  }

  async #look(reference: string, signal: AbortSignal): Promise<Image | undefined> {
    const known = this.#known.get(reference);
    if (known && known.until > this.#clock.monotonic()) return known.image;
    const image = await this.#engine.image(reference, signal);
    if (image) this.#remember(reference, image);
    else this.#known.delete(reference);
    return image;
  }

  #remember(reference: string, image: Image): void {
    const now = this.#clock.monotonic();
    for (const [name, { until }] of this.#known) if (until <= now) this.#known.delete(name);
    for (const [grant, until] of this.#granted) if (until <= now) this.#granted.delete(grant);
    this.#known.set(reference, { image, until: now + believeForMs });
  }
}

/** The digest by which the image's registry knows it; undefined for what was built or loaded here. */
export function digestOf(image: Image, name: ImageName): string | undefined {
  const place = repositoryName(name);
  const digests = image.digests.map(readImageName).filter((digest) => repositoryName(digest) === place);
  return digests[0]?.digest;
}

function checkedName(reference: string): ImageName {
  const name = readImageName(reference);
  if (name.registry !== markRegistry) return name;
  throw new EngineError("bad-reference", `${reference}: names of ${markRegistry} are for this runner's own use`);
}

function neverPulled(name: ImageName, present: Image | undefined): ConfigFault {
  const why = present
    ? "was pulled with credentials, so its registry would have to be asked"
    : "is not on this host, and would have to be pulled";
  return new ConfigFault(`image ${fullName(name)} ${why}, but the pull policy of this resource class is never`);
}

/** Credentials are remembered by their hash. */
function grantOf(image: Image, credentials: RegistryCredentials | undefined): string {
  if (!credentials) return `${image.id} anonymous`;
  const { username, password } = credentials;
  return `${image.id} ${createHash("sha256")
    .update(JSON.stringify([username, password]))
    .digest("hex")}`;
}
