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

/** What runs in a sandbox: nothing, but that it says how the sandbox looks for each line that it reads. Ends by itself in the end. */
export function sandboxCommand(lifeMs: number): string[] {
  const look = looked.map((file) => `echo "${begin} ${file}"; ${busybox} cat ${file} 2>/dev/null`).join("; ");
  const script = `while read -r word; do ${look}; echo "${end} $word"; done`;
  return endingAfter(lifeMs, [busybox, "sh", "-c", script]);
}

const begin = "=== look at";
const end = "=== end";

/** The line that ends the answer to a word. */
export function endOf(word: string): string {
  return `${end} ${word}\n`;
}

/** Below it are ports that somebody listens at on purpose. */
const firstEphemeralPort = 32_768;

/**
 * All that matters of such an answer. Two of a sandbox are equal where a task that comes after the second finds what one found that
 * came after the first. What the kernel still winds up of closed connections is left out: nobody has them, and nobody can.
 */
export function likenessOf(answer: string): string {
  let file = "";
  const lines: string[] = [];
  for (const line of answer.split("\n")) {
    if (line.startsWith(begin)) {
      file = line.slice(begin.length + 1);
      lines.push(file);
    } else {
      const kept = keptOf(file, line);
      if (kept !== undefined) lines.push(kept);
    }
  }
  return lines.join("\n");
}

function keptOf(file: string, line: string): string | undefined {
  if (file.startsWith("/etc/")) return line;
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
