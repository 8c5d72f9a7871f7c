import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

/** What happens to a call instead of passing. Where nothing else is said it does not reach the upstream. */
export type Fault =
  /** Passes, later: so many milliseconds, and up to `jitterMs` more. */
  | { kind: "delay"; ms: number; jitterMs?: number }
  /** The proxy's own answer. */
  | { kind: "answer"; status: number; headers?: Record<string, string>; body?: string; first?: () => Promise<void> }
  /** Nothing comes back, ever. */
  | { kind: "black-hole" }
  /** Reaches the upstream and is done there; its answer is lost with the connection. */
  | { kind: "lose-answer" }
  /** Reaches the upstream; its answer's head comes back, and then a reset. */
  | { kind: "reset-after-headers" }
  /** Reaches the upstream; the connection ends in the middle of its answer's body. */
  | { kind: "cut-body" }
  /** Reaches the upstream; its answer's body comes in pieces of so many bytes, at so many bytes a second. */
  | { kind: "trickle"; bytes: number; bytesPerSecond: number }
  /** Something is done first, then it passes. */
  | { kind: "first"; run: () => Promise<void> };

export interface Rule {
  /** Tested against `METHOD /path?query`. */
  match: RegExp;
  fault: Fault;
  /** After so many calls it is spent. Default: never. */
  times?: number;
  /** 0 < n ≤ 1. Default: every call that matches. */
  probability?: number;
}

export interface AddedRule {
  /** How many calls it has hit. */
  readonly hits: number;
  remove(): void;
}

export type Endpoint = { socketPath: string } | { host: string; port: number };

export interface Call {
  /** `METHOD /path?query` */
  call: string;
  /** When it came, by the monotonic clock. */
  atMs: number;
  /** Of the upstream's answer, once there is one. */
  status?: number;
  /** Why the upstream did not answer. */
  lost?: string;
}

/** An HTTP proxy that does harm by rule. The first rule that matches a call decides; without one, it passes as it is. */
export interface FaultProxy extends AsyncDisposable {
  /** `http://127.0.0.1:port`; for a unix socket a name only. */
  url: string;
  upstream: Endpoint;
  calls: Call[];
  add(rule: Rule): AddedRule;
  /** Breaks every connection that is open now. */
  cut(): void;
}

interface Held extends Rule {
  hits: number;
}

export async function faultProxy(options: {
  upstream: Endpoint;
  /** Where it listens. Default: any free port of loopback. */
  listen?: Endpoint;
  /** 0 ≤ n < 1. */
  random: () => number;
}): Promise<FaultProxy> {
  const rules: Held[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 60_000 });
  const proxy: FaultProxy = {
    url: "",
    upstream: options.upstream,
    calls: [],
    add: (rule) => addRule(rules, rule),
    cut: () => {
      for (const socket of sockets) reset(socket);
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  const take = (message: IncomingMessage): Pick<Passing, "fault" | "call"> => {
    const call: Call = { call: `${message.method} ${message.url}`, atMs: performance.now() };
    proxy.calls.push(call);
    const rule = rules.find((held) => applies(held, call.call, options.random));
    if (rule) rule.hits++;
    return { fault: rule?.fault, call };
  };
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("request", (message, answer) => {
    answer.on("error", () => {});
    void serve({ message, answer, ...take(message), proxy, random: options.random });
  });
  server.on("upgrade", (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    void upgrade({ message, socket: socket as Socket, head, ...take(message), proxy, random: options.random });
  });
  proxy.url = await listen(server, options.listen ?? { host: "127.0.0.1", port: 0 });
  return proxy;
}

function addRule(rules: Held[], rule: Rule): AddedRule {
  const held = { ...rule, hits: 0 };
  rules.push(held);
  return {
    get hits() {
      return held.hits;
    },
    remove: () => {
      const at = rules.indexOf(held);
      if (at >= 0) rules.splice(at, 1);
    },
  };
}

function applies(rule: Held, call: string, random: () => number): boolean {
  if (!rule.match.test(call) || rule.hits >= (rule.times ?? Number.POSITIVE_INFINITY)) return false;
  return rule.probability === undefined || random() < rule.probability;
}

async function listen(server: Server, endpoint: Endpoint): Promise<string> {
  if ("socketPath" in endpoint) {
    await rm(endpoint.socketPath, { force: true });
    server.listen(endpoint.socketPath);
  } else server.listen(endpoint);
  await once(server, "listening");
  return "socketPath" in endpoint ? "http://localhost" : `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Unix sockets know no reset: they are closed. */
function reset(socket: Socket): void {
  if (socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

interface Passing {
  message: IncomingMessage;
  fault: Fault | undefined;
  call: Call;
  proxy: FaultProxy;
  random: () => number;
}

async function serve(passing: Passing & { answer: ServerResponse }): Promise<void> {
  const { message, answer, fault } = passing;
  if (fault?.kind === "black-hole") return void message.resume();
  if (fault?.kind === "answer") {
    message.resume();
    await fault.first?.();
    answer.writeHead(fault.status, { "content-type": "text/html", ...fault.headers }).end(fault.body ?? "");
    return;
  }
  await before(passing);
  const reply = await ask(passing).catch((error: unknown) => void (passing.call.lost = String(error)));
  if (reply?.statusCode !== undefined) passing.call.status = reply.statusCode;
  // As if there were no proxy: who cannot be reached answers nothing.
  if (!reply) reset(message.socket);
  else await pass(passing, reply).catch(() => message.socket.destroy());
}

async function before({ fault, random }: Passing): Promise<void> {
  if (fault?.kind === "delay") await sleep(fault.ms + random() * (fault.jitterMs ?? 0));
  if (fault?.kind === "first") await fault.run();
}

/** The upstream's answer. */
async function ask({ message, answer, proxy }: Passing & { answer: ServerResponse }): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const call = request({
    ...proxy.upstream,
    agent: false,
    method: message.method,
    path: message.url,
    headers: { ...message.headers, connection: "close" },
  });
  call.on("response", resolve);
  call.on("error", reject);
  message.on("error", () => call.destroy());
  // Either the answer is out, and this changes nothing, or nobody waits for it any more.
  answer.once("close", () => call.destroy());
  message.pipe(call);
  return await promise;
}

async function pass({ message, answer, fault }: Passing & { answer: ServerResponse }, reply: IncomingMessage) {
  reply.on("error", () => message.socket.destroy());
  if (fault?.kind === "lose-answer") {
    await collect(reply);
    reset(message.socket);
    return;
  }
  const { connection: _connection, "keep-alive": _keepAlive, ...headers } = reply.headers;
  if (fault?.kind === "reset-after-headers") {
    const body = await collect(reply);
    answer.writeHead(reply.statusCode ?? 0, { ...headers, "content-length": Math.max(1, body.byteLength) });
    answer.flushHeaders();
    // The head is to arrive before the reset, which would overtake it.
    setTimeout(() => reset(message.socket), 20);
    return;
  }
  if (fault?.kind === "cut-body") {
    const body = await collect(reply);
    answer.writeHead(reply.statusCode ?? 0, { ...headers, "content-length": body.byteLength + 1 });
    answer.write(body.subarray(0, Math.floor(body.byteLength / 2)), () => message.socket.destroySoon());
    return;
  }
  answer.writeHead(reply.statusCode ?? 0, headers);
  if (fault?.kind === "trickle") return await trickle(answer, await collect(reply), fault);
  answer.flushHeaders();
  reply.pipe(answer);
}

async function trickle(answer: ServerResponse, body: Buffer, pace: { bytes: number; bytesPerSecond: number }) {
  for (let from = 0; from < body.byteLength && !answer.destroyed; from += pace.bytes) {
    answer.write(body.subarray(from, from + pace.bytes));
    await sleep((1000 * pace.bytes) / pace.bytesPerSecond);
  }
  answer.end();
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What the two say to each other after an upgrade is not read. */
async function upgrade(passing: Passing & { socket: Socket; head: Buffer }): Promise<void> {
  const { message, socket, head, fault, proxy } = passing;
  socket.on("error", () => {});
  if (fault?.kind === "black-hole") return;
  if (fault?.kind === "answer")
    return void socket.end(`HTTP/1.1 ${fault.status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
  await before(passing);
  const upstream = connect("socketPath" in proxy.upstream ? { path: proxy.upstream.socketPath } : proxy.upstream);
  upstream.on("error", () => socket.destroy());
  upstream.on("close", () => socket.destroy());
  socket.on("close", () => upstream.destroy());
  upstream.write(headOf(message));
  upstream.write(head);
  if (fault?.kind === "lose-answer") return void upstream.once("data", () => reset(socket));
  socket.pipe(upstream);
  upstream.pipe(socket);
}

function headOf({ method, url, rawHeaders }: IncomingMessage): string {
  const lines = [`${method} ${url} HTTP/1.1`];
  for (let at = 0; at < rawHeaders.length; at += 2) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}
