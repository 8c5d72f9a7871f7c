import { type Account, EngineError, type Image } from "../engine.ts";

export interface DummyImage extends Partial<Image> {
  /** Users of the image by name; root is always there. */
  accounts?: Record<string, Account>;
  /** Absent: present from the start. Else it has to be pulled first, or the pull fails so. */
  pull?: "works" | EngineError["code"];
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

export class DummyImages {
  readonly #images: Map<string, DummyImage>;
  readonly #present = new Set<string>();
  readonly #anyIsPresent: boolean;

  constructor(options: { images?: Record<string, DummyImage>; anyIsPresent?: boolean }) {
    this.#images = new Map(Object.entries({ ...builtIn, ...options.images }));
    this.#anyIsPresent = options.anyIsPresent ?? false;
    for (const [reference, image] of this.#images) if (image.pull === undefined) this.#present.add(reference);
  }

  find(reference: string): Image | undefined {
    const name = reference.startsWith("sha256:dummy:") ? reference.slice("sha256:dummy:".length) : reference;
    const known = this.#images.get(name);
    const present = this.#present.has(name) || (known === undefined && this.#anyIsPresent);
    return present ? wholeImage(name, known ?? {}) : undefined;
  }

  pull(reference: string): Image {
    const image = this.#images.get(reference);
    if (image === undefined && !this.#anyIsPresent) throw pullError("image-not-found", reference);
    if (image?.pull !== undefined && image.pull !== "works") throw pullError(image.pull, reference);
    this.#present.add(reference);
    return wholeImage(reference, image ?? {});
  }

  account(image: Image, user: string | undefined): Account {
    const wanted = user ?? image.user;
    if (["", "root", "0", "0:0"].includes(wanted)) return { uid: 0, gid: 0, home: "/root" };
    const name = image.id.replace(/^sha256:dummy:/, "");
    const accounts: Record<string, Account> = { circleci, ...this.#images.get(name)?.accounts };
    const account = accounts[wanted];
    if (account !== undefined) return account;
    const [uid, gid] = wanted.split(":").map(Number);
    if (Number.isSafeInteger(uid)) return { uid: uid ?? 0, gid: gid ?? 0, home: "/" };
    throw new EngineError("not-startable", `image ${name} has no user "${wanted}"`);
  }
}

function wholeImage(name: string, image: DummyImage): Image {
  return {
    id: `sha256:dummy:${name}`,
    architecture: image.architecture ?? "amd64",
    user: image.user ?? "",
    environment: image.environment ?? {},
    entrypoint: image.entrypoint ?? [],
    command: image.command ?? [],
    labels: image.labels ?? {},
  };
}

function pullError(code: EngineError["code"], reference: string): EngineError {
  return new EngineError(code, `pull image ${reference}: the dummy was told to answer ${code}`);
}
