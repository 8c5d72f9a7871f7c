import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What the daemon does with a request: it gets the head and writes raw bytes, so that it can be as broken as it likes. */
export type Behaviour = (head: string, socket: Socket) => void;

export interface FakeDaemon extends AsyncDisposable {
  socketPath: string;
  /** First lines of all requests so far. */
  requests: string[];
  /** Whole request heads. */
  heads: string[];
  /** Their bodies. */
  bodies: string[];
}

/** A unix socket that something listens on. */
export async function fakeDockerDaemon(behave: Behaviour): Promise<FakeDaemon> {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-daemon-"));
  const socketPath = join(directory, "docker.sock");
  const requests: string[] = [];
  const heads: string[] = [];
  const bodies: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => open.delete(socket));
    let seen = "";
    socket.on("data", (chunk: Buffer) => {
      seen += chunk.toString("latin1");
      for (let end = seen.indexOf("\r\n\r\n"); end >= 0; end = seen.indexOf("\r\n\r\n")) {
        const head = seen.slice(0, end);
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (seen.length < end + 4 + length) return;
        bodies.push(seen.slice(end + 4, end + 4 + length));
        seen = seen.slice(end + 4 + length);
        requests.push(head.split("\r\n")[0] ?? "");
        heads.push(head);
        behave(head, socket);
      }
    });
  });
  server.listen(socketPath);
  await once(server, "listening");
  return {
    socketPath,
    requests,
    heads,
    bodies,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A whole JSON answer. */
export function answer(socket: Socket, status: number, body: unknown): void {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const head = `HTTP/1.1 ${status} X\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n`;
  socket.write(head + text);
}

export const versionAnswer = { Version: "20.10.24", ApiVersion: "1.41", MinAPIVersion: "1.12", Arch: "amd64" };

/** Answers the version, and everything else by `behave`. */
export function afterVersion(behave: Behaviour): Behaviour {
  return (head, socket) => {
    if (head.startsWith("GET /version")) answer(socket, 200, versionAnswer);
    else behave(head, socket);
  };
}
