import type { Task } from "../../protocol/task.ts";

const mask = "[secret]";
/** Shorter ones would mask ordinary words. */
const shortest = 6;

/** Knows the secrets of this process and of the tasks that run, and takes them out of text. The last wall: nothing logs them on purpose. */
export class Redactor {
  /** How often each was added: two tasks often have the same one. */
  readonly #counts = new Map<string, number>();

  /** Returns what takes them away again. */
  add(secrets: Iterable<string>): () => void {
    const added = [...secrets].flatMap(forms);
    for (const secret of added) this.#counts.set(secret, (this.#counts.get(secret) ?? 0) + 1);
    return () => {
      for (const secret of added) {
        const count = (this.#counts.get(secret) ?? 0) - 1;
        if (count > 0) this.#counts.set(secret, count);
        else this.#counts.delete(secret);
      }
      added.length = 0;
    };
  }

  redact(text: string): string {
    let clean = text;
    for (const secret of this.#counts.keys()) clean = clean.replaceAll(secret, mask);
    return clean;
  }
}

/** What of a task no log may show. */
export function secretsOfTask(task: Task): string[] {
  return [...task.work.secrets, ...task.container.images.flatMap(({ auth }) => (auth ? [auth.password] : []))];
}

/** As it is, and as it stands in a line of JSON. */
function forms(secret: string): string[] {
  if (secret.length < shortest) return [];
  return [...new Set([secret, JSON.stringify(secret).slice(1, -1)])];
}
