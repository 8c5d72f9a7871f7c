import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { cachedOrbs } from "./cache.ts";
import { askHttp } from "./http.ts";
import { orbRegistry } from "./registry.ts";
import { urlOrbs } from "./url.ts";

interface Asked {
  path: string;
  authorization: string | undefined;
  body: string;
}

/** Answers as CircleCI's registry does, and remembers what it was asked. */
let server: Server;
let url: string;
let asked: Asked[];
let respond: (asked: Asked) => { status?: number; text: string; headers?: Record<string, string> };

beforeAll(async () => {
  server = createServer((incoming, response) => {
    void answer(incoming).then(({ status = 200, text, headers = {} }) => response.writeHead(status, headers).end(text));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());
beforeEach(() => {
  asked = [];
  respond = registryAnswer;
});

async function answer(incoming: IncomingMessage): Promise<ReturnType<typeof respond>> {
  const question = {
    path: incoming.url ?? "",
    authorization: incoming.headers.authorization,
    body: await text(incoming),
  };
  asked.push(question);
  return respond(question);
}

function registryAnswer({ body }: Asked): { text: string } {
  const { variables } = JSON.parse(body) as { variables: { ref: string; name: string } };
  const known = variables.name === "acme/tool";
  const orbVersion = ["acme/tool@1", "acme/tool@1.4.0"].includes(variables.ref)
    ? { version: "1.4.0", source: "description: tool\n" }
    : null;
  const orb = known ? { versions: [{ version: "1.4.0" }, { version: "dev:x" }] } : null;
  return { text: JSON.stringify({ data: { orbVersion, orb } }) };
}

const reference = { kind: "registry", namespace: "acme", name: "tool", version: "1" } as const;

test("the registry resolves the version and is asked with the token", async () => {
  const found = await orbRegistry({ url, token: "t0ken" }).find(reference);

  expect(found).toEqual({ found: true, resolved: "acme/tool@1.4.0", text: "description: tool\n" });
  expect(asked).toMatchObject([{ path: "/graphql-unstable", authorization: "t0ken" }]);
});

test("the registry's refusals are told apart", async () => {
  const registry = orbRegistry({ url });

  expect(await registry.find({ ...reference, version: "9" })).toMatchObject({
    reason: "no-such-version",
    known: ["1.4.0"],
  });
  expect(await registry.find({ ...reference, name: "tol" })).toMatchObject({ reason: "no-such-orb" });
  respond = () => ({ status: 403, text: "" });
  expect(await registry.find(reference)).toMatchObject({ reason: "forbidden" });
  respond = () => ({ status: 404, text: '{"message":"nothing here"}' });
  expect(await registry.find(reference)).toMatchObject({
    reason: "unavailable",
    detail: `${url} could not be asked: it answered 404, nothing here`,
  });
  respond = () => ({ text: "<html>" });
  expect(await registry.find(reference)).toMatchObject({ reason: "unavailable" });
  respond = () => ({ status: 302, text: "", headers: { location: `${url}/elsewhere` } });
  expect(await registry.find(reference)).toMatchObject({ reason: "unavailable" });
  expect(asked.map((one) => one.path)).not.toContain("/elsewhere");
});

test("a registry that can't be reached is said to be so, and not waited for twice", async () => {
  let attempts = 0;
  const registry = orbRegistry({
    url: "http://127.0.0.1:9",
    ask: (question) => {
      attempts += 1;
      return askHttp(question);
    },
  });

  expect(await registry.find(reference)).toMatchObject({ found: false, reason: "unavailable" });
  expect(await registry.find(reference)).toMatchObject({ found: false, reason: "unavailable" });
  expect(attempts).toBe(1);
});

test("an answer without end is given up", async () => {
  respond = () => ({ text: "x".repeat(9 * 1024 * 1024) });

  expect(await orbRegistry({ url }).find(reference)).toMatchObject({ reason: "unavailable" });
});

test("URL orbs are read under allowed addresses only, and again after five minutes", async () => {
  let nowMs = 0;
  const read: string[] = [];
  const source = urlOrbs({
    allowed: ["https://orbs.example/team/", "http://insecure.example/"],
    clock: { monotonic: () => nowMs },
    ask: async (question) => {
      read.push(question.url);
      return await Promise.resolve({ status: question.url.endsWith("gone.yml") ? 404 : 200, text: "description: x\n" });
    },
  });
  const find = (address: string) => source.find({ kind: "url", url: address });

  expect(await find("https://orbs.example/team/../other/a.yml")).toMatchObject({ reason: "forbidden" });
  expect(await find("http://insecure.example/a.yml")).toMatchObject({ reason: "forbidden" });
  expect(await find("https://orbs.example/team/gone.yml")).toMatchObject({ reason: "no-such-orb" });
  expect(await find("https://orbs.example/team/a.yml")).toMatchObject({ found: true, text: "description: x\n" });
  await find("https://orbs.example/team/a.yml");
  nowMs = 5 * 60_000;
  await find("https://orbs.example/team/a.yml");
  expect(read.filter((one) => one.endsWith("a.yml"))).toHaveLength(2);
});

test("a full version is kept by content, and a damaged file is fetched again", async () => {
  const directory = await mkdtemp(join(tmpdir(), "orb-cache-"));
  const source = cachedOrbs(orbRegistry({ url }), directory);
  const exact = { ...reference, version: "1.4.0" };

  await source.find(reference);
  const first = await source.find(exact);
  expect(asked).toHaveLength(1);
  const [file = ""] = await readdir(join(directory, "content"));
  await writeFile(join(directory, "content", file), "run: something else\n");
  const second = await source.find(exact);
  await source.find(reference);

  expect(first).toEqual({ found: true, resolved: "acme/tool@1.4.0", text: "description: tool\n" });
  expect(second).toEqual(first);
  expect(asked).toHaveLength(3);
  await rm(directory, { recursive: true });
});
