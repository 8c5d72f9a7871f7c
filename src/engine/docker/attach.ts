import type { Socket } from "node:net";
import { Writable } from "node:stream";
import { type Attachment, EngineError } from "../engine.ts";
import { demultiplex } from "./demux.ts";

/** A raw connection to a container, as three streams. Errors on them are EngineError `unreachable`. */
export function attachmentOf(socket: Socket, id: string): Attachment {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 15_000);
  const { stdout, stderr } = demultiplex(socket, (cause) => broken(id, cause));
  return {
    stdin: stdinOf(socket, id),
    stdout,
    stderr,
    close: () => {
      socket.destroy();
    },
  };
}

/** Not the socket itself: who reads it by mistake would steal output. */
function stdinOf(socket: Socket, id: string): Writable {
  const stdin = new Writable({
    highWaterMark: 256 * 1024,
    write: (chunk: Buffer, _encoding, done) => {
      socket.write(chunk, (error) => done(error ? broken(id, error) : null));
    },
    final: (done) => {
      socket.end(() => done());
    },
  });
  // Whoever listens hears of it all the same; who does not must not be brought down by a container that ended.
  stdin.on("error", () => {});
  socket.on("close", () => stdin.destroy());
  return stdin;
}

function broken(id: string, cause: unknown): EngineError {
  return new EngineError("unreachable", `attachment of container ${id}: the connection broke`, { cause });
}
