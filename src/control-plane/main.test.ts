import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FakeAgent } from "../../test/fakes/fake-agent.ts";

const main = new URL("main.ts", import.meta.url).pathname;

function start(environment: Record<string, string>) {
  const server = spawn(process.execPath, [main], { env: { ...environment }, stdio: ["ignore", "ignore", "pipe"] });
  const exit = once(server, "exit");
  return { server, exit };
}

async function textUntil(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<RegExpMatchArray> {
  let text = "";
  for await (const chunk of stream) {
    text += String(chunk);
    const match = pattern.exec(text);
    if (match) return match;
  }
  throw new Error(`ended without ${String(pattern)}: ${text}`);
}

test("the server says where it listens, serves, and ends with a signal", { timeout: 30_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-server-"));
  const { server, exit } = start({ COFFERDAM_DATA_DIRECTORY: join(directory, "data"), COFFERDAM_PORT: "0" });

  const [, url = ""] = await textUntil(server.stderr, /listens on (http:\S+)/);
  await using agent = new FakeAgent({ url });
  const ready = await agent.call("GET", "/ready");
  server.kill("SIGTERM");

  expect(ready.status).toBe(200);
  expect(await exit).toEqual([0, null]);
  await rm(directory, { recursive: true });
});

test("a bad setting is named, and ends the server with 1", { timeout: 30_000 }, async () => {
  const { server, exit } = start({ COFFERDAM_PORT: "many" });

  await textUntil(server.stderr, /control plane: COFFERDAM_PORT: Invalid input/);

  expect(await exit).toEqual([1, null]);
});
