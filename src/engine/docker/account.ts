import { posix } from "node:path";
import { type Account, EngineError, type Image } from "../engine.ts";
import { CreatedAnswer, checked } from "./answers.ts";
import type { Client } from "./client.ts";
import { findAccount, rootAccount, type UserFiles } from "./passwd.ts";
import { withHelper } from "./remove.ts";
import { firstEntry } from "./tar.ts";

/** An image may say lines of its passwd in a label: that spares the look into it, some 50 ms before the first task. */
const passwdLabel = "dev.cofferdam.passwd";
const maxLinks = 8;
const maxCachedImages = 1000;

/** A number is found in any file, so only a name proves that the label speaks of it. */
function isNamed(user: string): boolean {
  return /^[^\d:][^:]*$/.test(user);
}

/** Reads users from images, each image once. */
export class Accounts {
  readonly #client: Client;
  readonly #newId: () => string;
  readonly #labels: () => Readonly<Record<string, string>>;
  readonly #files = new Map<string, UserFiles>();

  constructor(options: { client: Client; newId: () => string; labels: () => Readonly<Record<string, string>> }) {
    this.#client = options.client;
    this.#newId = options.newId;
    this.#labels = options.labels;
  }

  async find(image: Image, user: string | undefined, signal: AbortSignal): Promise<Account> {
    const wanted = user ?? image.user;
    const root = rootAccount(wanted);
    if (root !== undefined) return root;
    const labelled = findAccount(wanted, { passwd: image.labels[passwdLabel] ?? "", group: "" });
    if (labelled !== undefined && isNamed(wanted)) return labelled;
    const account = findAccount(wanted, await this.#filesOf(image, signal));
    if (account !== undefined) return account;
    const message = `image ${image.id} has no user or group "${wanted}". Name one that is in its /etc/passwd, or a number.`;
    throw new EngineError("not-startable", message);
  }

  async #filesOf(image: Image, signal: AbortSignal): Promise<UserFiles> {
    const known = this.#files.get(image.id);
    if (known !== undefined) return known;
    const files = await this.#read(image, signal);
    const oldest = this.#files.keys().next();
    if (this.#files.size >= maxCachedImages && oldest.done !== true) this.#files.delete(oldest.value);
    this.#files.set(image.id, files);
    return files;
  }

  /** Through a container that never starts: nothing of the image runs here. */
  async #read(image: Image, signal: AbortSignal): Promise<UserFiles> {
    const what = `read the users of image ${image.id}`;
    const query = { name: `cofferdam-account-${this.#newId()}` };
    const body = {
      Image: image.id,
      Entrypoint: ["/nothing"],
      Labels: { ...this.#labels() },
      NetworkDisabled: true,
      HostConfig: { NetworkMode: "none", CapDrop: ["ALL"], LogConfig: { Type: "none" } },
    };
    return await withHelper(this.#client, query.name, async () => {
      const request = { method: "POST", path: "/containers/create", query, body, what, signal } as const;
      const answer = await this.#client.json({ ...request, timeoutMs: this.#client.longCallTimeoutMs });
      const { Id } = checked(CreatedAnswer, answer, what);
      const passwd = await this.#readFile(Id, "/etc/passwd", signal);
      const group = await this.#readFile(Id, "/etc/group", signal);
      return { passwd, group };
    });
  }

  /** Empty where there is no such file. */
  async #readFile(container: string, path: string, signal: AbortSignal): Promise<string> {
    let at = path;
    for (let links = 0; links <= maxLinks; links++) {
      const what = `read ${at} of the image`;
      const request = { method: "GET", path: `/containers/${container}/archive`, query: { path: at }, what, signal };
      const answer = await this.#client.call({ ...request, method: "GET" }, [404]);
      if (answer.status === 404) return "";
      const entry = await firstEntry(answer.body);
      if (entry?.header.type !== "symlink") return entry?.content.toString("utf8") ?? "";
      at = posix.resolve(posix.dirname(at), entry.header.linkname ?? "");
    }
    return "";
  }
}
