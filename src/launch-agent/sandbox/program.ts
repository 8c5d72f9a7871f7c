import { busybox, endingAfter } from "../plan/deadline.ts";

/** What a task could leave behind in a sandbox: the files that its containers share with it, and sockets that outlive them. */
const looked = [
  "/etc/hosts",
  "/etc/resolv.conf",
  "/etc/hostname",
  "/proc/net/tcp",
  "/proc/net/tcp6",
  "/proc/net/udp",
  "/proc/net/udp6",
  "/proc/net/raw",
  "/proc/net/raw6",
  "/proc/net/packet",
  "/proc/net/unix",
];

/**
 * What runs in a sandbox: nothing, but that it says how the sandbox looks for each line that it reads. Ends by itself in the end. A task
 * decides what stands in these files, and where they end: so each header begins a line of its own and has the word that was read, which
 * was chosen when no task was in it any more.
 */
export function sandboxCommand(lifeMs: number): string[] {
  const look = looked.map((file) => `${headed(file)}; ${shown(file)}`).join("; ");
  const script = `while read -r word; do ${look}; ${headed(end)}; done`;
  return endingAfter(lifeMs, [busybox, "sh", "-c", script]);
}

const mark = "===";
const end = "end";

function headed(title: string): string {
  return `echo; echo "${mark} $word ${title}"`;
}

/** Of what a task can write, also who may read and write it from then on. */
function shown(file: string): string {
  const owned = isShared(file) ? `${busybox} stat -c "%a %u %g" ${file} 2>/dev/null; ` : "";
  return `${owned}${busybox} cat ${file} 2>/dev/null`;
}

function isShared(file: string): boolean {
  return file.startsWith("/etc/");
}

/** What ends the answer to a word. */
export function endOf(word: string): string {
  return `\n${mark} ${word} ${end}\n`;
}

/** Below it are ports that somebody listens at on purpose. */
const firstEphemeralPort = 32_768;

/**
 * All that matters of the answer to a word, without its end. Two of a sandbox are equal where a task that comes after the second finds
 * what one found that came after the first. What the kernel still winds up of closed connections is left out: nobody has them, and
 * nobody can.
 */
export function likenessOf(answer: string, word: string): string {
  const parts = answer.split(`\n${mark} ${word} `).map((part) => {
    const [file = "", ...lines] = part.split("\n");
    return [file, lines.flatMap((line) => keptOf(file, line) ?? [])];
  });
  // Not lines again: nothing in a file can look like the beginning of the next one.
  return JSON.stringify(parts);
}

function keptOf(file: string, line: string): string | undefined {
  if (isShared(file)) return line;
  const columns = line.trim().split(/\s+/);
  // Pointers and counters change by themselves.
  if (file === "/proc/net/unix") return columns.slice(3, 6).join(" ") + (columns[7] ?? "");
  const [, local = "", remote = "", state = "", , , , , , inode] = columns;
  if (file.startsWith("/proc/net/tcp") && inode === "0" && portOf(local) >= firstEphemeralPort) return undefined;
  return `${local} ${remote} ${state}`;
}

/** `0B00007F:8C1B` → 0x8C1B. */
function portOf(address: string): number {
  return Number.parseInt(address.split(":").at(-1) ?? "", 16);
}
