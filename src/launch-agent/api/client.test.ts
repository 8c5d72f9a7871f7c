import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { Secret } from "../../lib/secret.ts";
import { AgentApi } from "./client.ts";
import { ApiFailure } from "./failure.ts";
import { retryPauseMs } from "./retry.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const token = new Secret("task-token");
const patience = { signal: new AbortController().signal, giveUpAfterMs: 60_000 };

let directory: string;
let server: Server;
let answers: Handler[];
let seen: string[];
let pauses: number[];
let api: AgentApi;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cofferdam-api-"));
  answers = [];
  seen = [];
  pauses = [];
  server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    const handler = answers.length > 1 ? answers.shift() : answers[0];
    handler?.(request, response);
  });
  const socketPath = join(directory, "s.sock");
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  api = open(socketPath);
});

afterEach(async () => {
  await api.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(directory, { recursive: true });
});

/** Does not wait, but remembers for how long it would have. */
const quick: Clock = {
  ...systemClock,
  sleep: async (ms) => {
    pauses.push(ms);
  },
};

function open(socketPath: string, timeoutMs = 5_000): AgentApi {
  const address = { baseUrl: "http://control-plane/prefix/", socketPath };
  return new AgentApi({
    address,
    token: new Secret("class-token"),
    version: "1",
    clock: quick,
    random: () => 0.5,
    timeoutMs,
  });
}

function json(status: number, body: object, headers: Record<string, string> = {}): Handler {
  return (request, response) => {
    request.resume();
    response.writeHead(status, headers).end(JSON.stringify(body));
  };
}

/** Of a proxy, when nothing is behind it. */
function page(
  status: number,
  body: string,
  headers: Record<string, string> = { "content-type": "text/html" },
): Handler {
  return (request, response) => {
    request.resume();
    response.writeHead(status, headers).end(body);
  };
}

const notFoundPage = page(404, "404 page not found\n", { "content-type": "text/plain; charset=utf-8" });
const signInPage = page(401, "<h1>Sign in</h1>");
const forbiddenPage = page(403, "<html>403 Forbidden</html>");

const post = { token, lane: "task" as const, frames: Buffer.from("frames") };

test("speaks over a unix socket, under the prefix of its address, with the token of the call", async () => {
  answers = [json(200, { acked: 3 })];

  const answer = await api.postRecords(post, patience);

  expect(answer).toEqual({ acked: 3, gap: false });
  expect(seen).toEqual(["POST /prefix/api/agent/v1/records?lane=task Bearer task-token"]);
});

describe("a post of records", () => {
  test.each<[string, Handler]>([
    ["500", json(500, {})],
    ["429", json(429, {})],
    ["a page of a proxy", (_request, response) => response.end("<html>Bad gateway</html>")],
    ["a proxy's 404", notFoundPage],
    ["a proxy's 401", signInPage],
    ["a proxy's 403", forbiddenPage],
    ["a proxy's 409", page(409, "{}")],
    ["a proxy's way to its own page", page(302, "", { location: "https://sign-in.example.com/" })],
    ["a proxy's JSON", json(404, { message: "no route matched" })],
    ["JSON of another shape", json(200, { stored: true })],
    ["a cut connection", (request) => request.socket.destroy()],
    [
      "a cut body",
      (_request, response) => {
        response.writeHead(200, { "content-length": "100" });
        response.write("{");
        setImmediate(() => response.destroy());
      },
    ],
  ])("is tried again after %s", async (_what, failing) => {
    answers = [failing, failing, json(200, { acked: 1 })];

    await expect(api.postRecords(post, patience)).resolves.toEqual({ acked: 1, gap: false });
    expect(seen).toHaveLength(3);
    expect(pauses).toEqual([50, 100]);
  });

  test("waits as long as the server asks it to", async () => {
    answers = [json(429, {}, { "retry-after": "3" }), json(200, { acked: 1 })];

    await api.postRecords(post, patience);

    expect(pauses).toEqual([3_050]);
  });

  test("is not tried again when the server refuses it", async () => {
    answers = [json(413, { code: "too-big", message: "no more than 8 MiB" })];

    await expect(api.postRecords(post, patience)).rejects.toMatchObject({
      status: 413,
      code: "too-big",
      retryable: false,
    });
    expect(seen).toHaveLength(1);
  });

  test.each([413, 431])("is not tried again when it is too big for whatever is in between (%i)", async (status) => {
    answers = [page(status, "<html>too large</html>")];

    await expect(api.postRecords(post, patience)).rejects.toMatchObject({ status, retryable: false });
    expect(seen).toHaveLength(1);
  });

  test("waits as long as a proxy asks it to, too", async () => {
    answers = [
      page(503, "<html>", { "retry-after": "2" }),
      page(404, "", { "retry-after": "3" }),
      json(200, { acked: 1 }),
    ];

    await api.postRecords(post, patience);

    expect(pauses).toEqual([2_050, 3_100]);
  });

  test("tells a gap from a stale attempt", async () => {
    answers = [
      json(409, { code: "gap", message: "gap", acked: 7 }),
      json(409, { code: "stale-attempt", message: "over" }),
    ];

    await expect(api.postRecords(post, patience)).resolves.toEqual({ acked: 7, gap: true });
    await expect(api.postRecords(post, patience)).rejects.toMatchObject({ fenced: true });
  });

  test("has a deadline, even against a server that never answers", async () => {
    answers = [() => {}];
    await api.close();
    api = open(join(directory, "s.sock"), 20);

    const failure = api.postRecords(post, { ...patience, giveUpAfterMs: 0 });

    await expect(failure).rejects.toMatchObject({ code: "no-answer" });
    await expect(failure).rejects.toThrow(/no answer within 20 ms/);
  });

  test("ends with its caller's reason", async () => {
    const abort = new AbortController();
    answers = [() => abort.abort(new Error("the task is over"))];

    await expect(api.postRecords(post, { ...patience, signal: abort.signal })).rejects.toThrow("the task is over");
  });
});

test.each<[number, Handler]>([
  [404, notFoundPage],
  [401, signInPage],
  [403, forbiddenPage],
])(
  "tells a %i that is not the control plane's own, and takes it for no word on token or task",
  async (status, answer) => {
    answers = [answer];

    const failure = await api.heartbeat(token, 0, patience.signal).catch((error: unknown) => error);

    expect(failure).toMatchObject({ retryable: true, fenced: false, refusesToken: false, notFound: false });
    expect(String(failure)).toContain(`heartbeat: ${status} `);
    expect(String(failure)).toContain("does not come from a control plane. Is there a proxy in between?");
  },
);

describe("an adoption", () => {
  const adoption = { name: "agent", session: "s", task_id: "t", attempt: 1 };

  test.each<[string, Handler]>([
    ["404", notFoundPage],
    ["401", signInPage],
    ["403", forbiddenPage],
  ])("is tried again after a proxy's %s", async (_status, answer) => {
    answers = [answer, answer, json(404, { code: "not-found", message: "it is over" })];

    await expect(api.adopt(adoption, { ...patience, token })).resolves.toBeUndefined();
    expect(seen).toHaveLength(3);
  });
});

test("an unclaim that only a proxy answers is none", async () => {
  answers = [notFoundPage];

  const unclaimed = api.unclaim({ taskId: "t", token, reason: "r" }, { ...patience, giveUpAfterMs: 0 });

  await expect(unclaimed).rejects.toThrow("Is there a proxy in between?");
});

test.each([
  [200, "taken-back"],
  [409, "tried-too-often"],
  [404, "gone"],
  [401, "gone"],
])("takes %i to an unclaim as %s", async (status, expected) => {
  answers = [json(status, { code: "x", message: "x" })];

  await expect(api.unclaim({ taskId: "t", token, reason: "r" }, patience)).resolves.toBe(expected);
});

test("a claim that finds nothing is no failure, and is not tried again here", async () => {
  answers = [(_request, response) => response.writeHead(204).end()];
  const request = { name: "a", hostname: "", version: "", wait_ms: 0 };

  await expect(api.claim(request, patience.signal)).resolves.toBeUndefined();
  answers = [json(503, {})];
  await expect(api.claim(request, patience.signal)).rejects.toBeInstanceOf(ApiFailure);
  expect(seen).toHaveLength(2);
});

describe("blobs", () => {
  test("stream up without being held", async () => {
    const received = Promise.withResolvers<string>();
    answers = [
      (request, response) => {
        void text(request).then((body) => {
          received.resolve(body);
          response.writeHead(201).end();
        });
      },
    ];

    const stored = await api
      .blobs(token)
      .saveCache("a&b", Readable.from([Buffer.from("one "), Buffer.from("two")]), patience.signal);

    expect(stored).toBe(true);
    await expect(received.promise).resolves.toBe("one two");
    expect(seen[0]).toContain("?key=a%26b");
  });

  test("stream down, with size and key", async () => {
    answers = [
      (_request, response) =>
        response
          .writeHead(200, { "content-length": "4", "cofferdam-cache-key": encodeURIComponent("ü-1%") })
          .end("body"),
    ];

    const found = await api.blobs(token).restoreCache(["ü-", "x"], patience.signal);

    expect(found).toMatchObject({ sizeBytes: 4, key: "ü-1%" });
    expect(found && (await text(found.body))).toBe("body");
    expect(seen[0]).toContain("?key=%C3%BC-&key=x");
  });

  test("say what the server says when it refuses them", async () => {
    answers = [json(507, { code: "disk-full", message: "no room for artifacts" })];

    await expect(api.blobs(token).storeArtifact("a", Readable.from([]), patience.signal)).rejects.toThrow(
      "no room for artifacts",
    );
  });

  test("take a refusal without a body for the control plane's by its type alone", async () => {
    const refused = { status: 403, retryable: false };
    answers = [page(403, "", { "content-type": "application/json; charset=utf-8" })];
    await expect(api.blobs(token).hasCache("k", patience.signal)).rejects.toMatchObject(refused);

    answers = [forbiddenPage, (_request, response) => response.writeHead(200).end()];
    await expect(api.blobs(token).hasCache("k", patience.signal)).resolves.toBe(true);
  });

  test("tell a taken key from a free one", async () => {
    answers = [
      (_request, response) => response.writeHead(404).end(),
      (_request, response) => response.writeHead(200).end(),
    ];

    await expect(api.blobs(token).hasCache("k", patience.signal)).resolves.toBe(false);
    await expect(api.blobs(token).hasCache("k", patience.signal)).resolves.toBe(true);
  });
});

test("a pause grows, is jittered in full, and never under what the server asks for", () => {
  expect(retryPauseMs(0, undefined, () => 0)).toBe(0);
  expect(retryPauseMs(0, undefined, () => 1)).toBe(100);
  expect(retryPauseMs(30, undefined, () => 1)).toBe(5_000);
  expect(retryPauseMs(0, 2_000, () => 0)).toBe(2_000);
  expect(retryPauseMs(0, 1e9, () => 0)).toBe(600_000);
});
