import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** How bytes travel. All may be changed while connections are open. */
export interface Wire {
  /** For each piece, each way. */
  latencyMs: number;
  /** Up to so much more. */
  jitterMs: number;
  /** Largest piece. */
  sliceBytes: number;
  /** Nothing travels while this is set; what is sent waits, and goes on when it is cleared. */
  stalled: boolean;
}

export interface WireProxy extends AsyncDisposable {
  port: number;
  wire: Wire;
  /** Connections that are open. */
  readonly open: number;
  /** Breaks them. */
  cut(): void;
}

const untouched: Wire = { latencyMs: 0, jitterMs: 0, sliceBytes: 65_536, stalled: false };

/** Bytes between clients and one port of loopback, whatever they mean. */
export async function wireProxy(options: {
  upstreamPort: number;
  wire?: Partial<Wire>;
  random: () => number;
}): Promise<WireProxy> {
  const wire = { ...untouched, ...options.wire };
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: options.upstreamPort, host: "127.0.0.1", allowHalfOpen: true });
    keep(client);
    keep(upstream);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on("close", () => to.destroy());
      void carry(from, to, { wire, random: options.random }).catch(() => to.destroy());
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    wire,
    get open() {
      return sockets.size / 2;
    },
    cut: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

async function carry(from: Socket, to: Socket, { wire, random }: { wire: Wire; random: () => number }): Promise<void> {
  for await (const chunk of from as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.byteLength; ) {
      while (wire.stalled && !to.destroyed) await sleep(20);
      const pauseMs = wire.latencyMs + random() * wire.jitterMs;
      if (pauseMs > 0) await sleep(pauseMs);
      const piece = chunk.subarray(at, at + wire.sliceBytes);
      at += piece.byteLength;
      // One write a piece, and the next when it is out: joined together they would be no pieces.
      await new Promise<void>((resolve) => to.write(piece, () => resolve()));
      if (to.destroyed) return;
    }
  }
  to.end();
}
