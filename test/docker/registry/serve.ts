import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { type AddressInfo } from "node:net";

/**
 * Runs inside of a container that shares the engine's own network, because that is where the engine looks for 127.0.0.1. Two real
 * registries, an open one and one with a password, and in front of the open one a server that fails in the way that the first part
 * of the image's name says: `FAULTY/busy/app` is the open registry's `app`, answered 429. A number after the word (`busy2`) is how
 * often. Prints the addresses as its first line, and then every request to the faulty one.
 */
const [binary = "", htpasswd = ""] = process.argv.slice(2);
const storage = "/tmp/registry";
const seen = new Map<string, number>();

const open = await startRegistry("");
const closed = await startRegistry(`auth:\n  htpasswd:\n    realm: test\n    path: /tmp/htpasswd\n`);
const faulty = createServer((asked, answer) => {
  process.stdout.write(`${asked.method} ${asked.url}\n`);
  serve(asked, answer);
});
faulty.listen(0, "127.0.0.1", () => {
  const port = (faulty.address() as AddressInfo).port;
  process.stdout.write(`serving ${open} ${closed} 127.0.0.1:${port}\n`);
});

async function startRegistry(auth: string): Promise<string> {
  const port = await freePort();
  const file = `/tmp/registry-${port}.yml`;
  writeFileSync("/tmp/htpasswd", `${htpasswd}\n`);
  writeFileSync(
    file,
    `version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: ${storage}-${port}\n` +
      `http:\n  addr: 127.0.0.1:${port}\n  secret: of-the-test\n${auth}`,
  );
  spawn(binary, ["serve", file], { stdio: "ignore" }).once("exit", (code) => {
    process.stdout.write(`the registry ended with ${code}\n`);
    process.exit(1);
  });
  await untilServing(port);
  return `127.0.0.1:${port}`;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => probe.once("listening", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function untilServing(port: number): Promise<void> {
  for (;;) {
    try {
      await fetch(`http://127.0.0.1:${port}/v2/`);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function serve(asked: IncomingMessage, answer: ServerResponse): void {
  const [, word, times = "", rest = ""] = /^\/v2\/([a-z]+)(\d*)\/(.*)$/.exec(asked.url ?? "") ?? [];
  if (word === undefined) return void answer.writeHead(200).end("{}");
  // An engine asks for a manifest by its tag and by its digest.
  const what = rest.replace(/\/manifests\/.*/, "/manifests");
  const count = (seen.get(what) ?? 0) + 1;
  seen.set(what, count);
  const fault = times !== "" && count > Number(times) ? "" : word;
  if (what === rest) return forward(asked, answer, { path: `/v2/${rest}`, fault });
  if (fault === "busy") return refuse(answer, 429, "TOOMANYREQUESTS", { "retry-after": "1" });
  if (fault === "broken") return refuse(answer, 500, "UNKNOWN", {});
  if (fault !== "hang") forward(asked, answer, { path: `/v2/${rest}`, fault: "" });
}

function refuse(answer: ServerResponse, status: number, code: string, headers: Record<string, string>): void {
  const errors = [{ code, message: `the test wants ${status}` }];
  answer.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify({ errors }));
}

/** Layers, and not the small document beside them, are what is cut off, held back or changed. */
const smallestLayer = 100_000;

function forward(asked: IncomingMessage, answer: ServerResponse, how: { path: string; fault: string }): void {
  const [host = "", port = ""] = open.split(":");
  const headers = { ...asked.headers, host: open };
  const call = request({ host, port, path: how.path, method: asked.method ?? "GET", headers }, (given) =>
    relay(given, answer, how.fault),
  );
  call.on("error", () => answer.destroy());
  asked.pipe(call);
}

function relay(given: IncomingMessage, answer: ServerResponse, wanted: string): void {
  const length = Number(given.headers["content-length"] ?? 0);
  const fault = length >= smallestLayer ? wanted : "";
  answer.writeHead(given.statusCode ?? 500, given.headers);
  let sent = 0;
  given.on("data", (chunk: Buffer) => {
    if (fault === "corrupt" && sent === 0) chunk[chunk.byteLength - 1] = (chunk.at(-1) ?? 0) ^ 1;
    sent += chunk.byteLength;
    answer.write(chunk);
    if (sent < length / 2 || !["short", "stall"].includes(fault)) return;
    given.destroy();
    if (fault === "short") answer.socket?.end();
  });
  given.on("end", () => answer.end());
  given.on("error", () => {});
}
