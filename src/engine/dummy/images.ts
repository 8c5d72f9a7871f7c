import { type Account, EngineError, type Image, type StoredImage } from "../engine.ts";
import { fullName, readImageName } from "../image-name.ts";

export interface DummyImage extends Partial<Image> {
  /** Users of the image by name; root is always there. */
  accounts?: Record<string, Account>;
  /** Absent: present from the start. Else it has to be pulled first, or the pull fails so. */
  pull?: "works" | EngineError["code"];
  sizeBytes?: number;
}

/** What tests can name without saying more. */
const builtIn: Record<string, DummyImage> = {
  dummy: {},
  "dummy-user": { user: "circleci" },
  "dummy-absent": { pull: "works" },
  "dummy-missing": { pull: "image-not-found" },
  "dummy-denied": { pull: "image-denied" },
  "dummy-registry-down": { pull: "registry" },
  "dummy-other-machine": { pull: "wrong-architecture" },
};

const circleci: Account = { uid: 1001, gid: 1001, home: "/home/circleci" };
const idPrefix = "sha256:dummy:";

/** An image is kept under the short form of the name that it came by: `debian` for `docker.io/library/debian:latest`. */
export class DummyImages {
  readonly #images: Map<string, DummyImage>;
  readonly #anyIsPresent: boolean;
  /** Names of what is present, by the image that they stand for. */
  readonly #names = new Map<string, Set<string>>();

  constructor(options: { images?: Record<string, DummyImage>; anyIsPresent?: boolean }) {
    const given = Object.entries({ ...builtIn, ...options.images });
    this.#images = new Map(given.map(([name, image]) => [shortName(name), image]));
    this.#anyIsPresent = options.anyIsPresent ?? false;
    for (const [name, image] of this.#images) if (image.pull === undefined) this.#appear(name);
  }

  find(reference: string): Image | undefined {
    const key = this.#keyOf(reference);
    return key === undefined ? undefined : this.#whole(key);
  }

  pull(reference: string): Image {
    const name = shortName(reference);
    const key = this.#byDigest(reference) ?? name;
    const image = this.#images.get(key);
    if (image === undefined && !this.#anyIsPresent) throw pullError("image-not-found", reference);
    if (image?.pull !== undefined && image.pull !== "works") throw pullError(image.pull, reference);
    this.#appear(key);
    return this.#whole(key);
  }

  list(): Omit<StoredImage, "inUse">[] {
    return [...this.#names.keys()].map((key) => {
      const { id, tags, digests } = this.#whole(key);
      return { id, tags, digests, sizeBytes: this.#images.get(key)?.sizeBytes ?? 1_000_000, createdMs: 0 };
    });
  }

  /** False where there is no such image. */
  tag(id: string, name: string): boolean {
    const key = this.#keyOf(id);
    if (key === undefined) return false;
    for (const names of this.#names.values()) names.delete(shortName(name));
    this.#names.get(key)?.add(shortName(name));
    return true;
  }

  remove(name: string): void {
    const key = this.#keyOf(name);
    const names = key === undefined ? undefined : this.#names.get(key);
    names?.delete(shortName(name));
    if (key !== undefined && names?.size === 0) this.#names.delete(key);
  }

  account(image: Image, user: string | undefined): Account {
    const wanted = user ?? image.user;
    if (["", "root", "0", "0:0"].includes(wanted)) return { uid: 0, gid: 0, home: "/root" };
    const name = image.id.slice(idPrefix.length);
    const accounts: Record<string, Account> = { circleci, ...this.#images.get(name)?.accounts };
    const account = accounts[wanted];
    if (account !== undefined) return account;
    const [uid, gid] = wanted.split(":").map(Number);
    if (Number.isSafeInteger(uid)) return { uid: uid ?? 0, gid: gid ?? 0, home: "/" };
    throw new EngineError("not-startable", `image ${name} has no user "${wanted}"`);
  }

  #appear(key: string): void {
    const names = this.#names.get(key) ?? new Set();
    this.#names.set(key, names.add(key));
  }

  /** The image that is present under this name, digest or id. */
  #keyOf(reference: string): string | undefined {
    if (reference.startsWith(idPrefix)) {
      const key = reference.slice(idPrefix.length);
      return this.#names.has(key) || this.#comesByItself(key) ? key : undefined;
    }
    const name = this.#byDigest(reference) ?? shortName(reference);
    for (const [key, names] of this.#names) if (names.has(name)) return key;
    return this.#comesByItself(name) ? name : undefined;
  }

  #comesByItself(name: string): boolean {
    return this.#anyIsPresent && !this.#images.has(name);
  }

  #byDigest(reference: string): string | undefined {
    for (const [key, image] of this.#images) if (image.digests?.includes(reference)) return key;
    return undefined;
  }

  #whole(key: string): Image {
    const image = this.#images.get(key) ?? {};
    return {
      id: `${idPrefix}${key}`,
      architecture: image.architecture ?? "amd64",
      user: image.user ?? "",
      environment: image.environment ?? {},
      entrypoint: image.entrypoint ?? [],
      command: image.command ?? ["/dummy"],
      labels: image.labels ?? {},
      tags: [...(this.#names.get(key) ?? [])].map((name) => fullName(readImageName(name))),
      digests: image.digests ?? [],
    };
  }
}

function shortName(reference: string): string {
  return fullName(readImageName(reference))
    .replace(/^docker\.io\/(library\/)?/, "")
    .replace(/:latest$/, "");
}

function pullError(code: EngineError["code"], reference: string): EngineError {
  return new EngineError(code, `pull image ${reference}: the dummy was told to answer ${code}`);
}
