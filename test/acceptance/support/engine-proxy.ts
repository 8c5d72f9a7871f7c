import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { addressUnderTest } from "../../docker/engine-under-test.ts";

/** Stands between the program and the engine: sees what is asked, and can go away. */
export class EngineProxy implements AsyncDisposable {
  readonly dockerHost: string;
  /** `POST /v1.41/containers/create?name=…` and so on. */
  readonly requests: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, path: string) {
    this.#server = server;
    this.dockerHost = `unix://${path}`;
  }

  static async open(directory: string): Promise<EngineProxy> {
    const address = await addressUnderTest();
    const path = join(directory, "proxy.sock");
    const server = createServer({ allowHalfOpen: true });
    const proxy = new EngineProxy(server, path);
    server.on("connection", (client) => {
      const options = address.kind === "socket" ? { path: address.path } : { host: address.host, port: address.port };
      const engine = connect({ ...options, allowHalfOpen: true });
      client.on("data", (chunk) => proxy.#listen(chunk));
      proxy.#join(client, engine);
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(path, resolve);
    await promise;
    return proxy;
  }

  get containersMade(): number {
    return this.requests.filter((request) => /^POST \S*\/containers\/create/.test(request)).length;
  }

  /** As an engine that has crashed. */
  goAway(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.goAway();
  }

  #listen(chunk: Buffer): void {
    for (const match of chunk.toString("latin1").matchAll(/^(?:GET|POST|PUT|HEAD|DELETE) \/\S+ (?=HTTP\/1\.1\r$)/gm))
      this.requests.push(match[0].trim());
  }

  #join(client: Socket, engine: Socket): void {
    for (const socket of [client, engine]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
    }
    client.pipe(engine);
    engine.pipe(client);
  }
}
