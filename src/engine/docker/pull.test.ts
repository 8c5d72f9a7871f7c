import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { afterVersion, answer, fakeDockerDaemon } from "../../../test/fakes/fake-docker-daemon.ts";
import type { Image, PullOptions } from "../engine.ts";
import { createDockerEngine } from "./index.ts";

const never = new AbortController().signal;
const imageAnswer = { Id: `sha256:${"a".repeat(64)}`, Architecture: "amd64", Config: { User: "u", Env: ["A=b=c"] } };

async function pull(
  behave: (socket: Socket) => void,
  reference = "team/app:1",
  options: Partial<PullOptions> = {},
): Promise<{ image: Image; lines: string[]; requests: string[]; heads: string[] }> {
  await using daemon = await fakeDockerDaemon(
    afterVersion((head, socket) => (head.startsWith("POST") ? behave(socket) : answer(socket, 200, imageAnswer))),
  );
  const engine = createDockerEngine({ address: { kind: "socket", path: daemon.socketPath } });
  const lines: string[] = [];
  const image = await engine.pull(reference, { signal: never, onProgress: (line) => lines.push(line), ...options });
  return { image, lines, requests: daemon.requests, heads: daemon.heads };
}

function progress(...records: object[]): (socket: Socket) => void {
  return (socket) => answer(socket, 200, records.map((record) => `${JSON.stringify(record)}\r\n`).join(""));
}

test("progress becomes lines, and the image is looked up at the end", async () => {
  const { image, lines, requests } = await pull(
    progress(
      { status: "Pulling from team/app", id: "1" },
      { status: "Pulling fs layer", id: "l1" },
      { status: "Downloading", id: "l1", progressDetail: { current: 1_000_000, total: 4_000_000 } },
      { status: "Pull complete", id: "l1" },
      { status: "Status: Downloaded newer image for team/app:1" },
    ),
  );
  expect(image).toMatchObject({ id: imageAnswer.Id, user: "u", environment: { A: "b=c" } });
  expect(lines[0]).toBe("Pulling from team/app");
  expect(lines[1]).toBe("0 of 1 layers");
  expect(lines.at(-1)).toBe("Status: Downloaded newer image for team/app:1");
  expect(requests).toContain("POST /v1.41/images/create?fromImage=docker.io%2Fteam%2Fapp&tag=1 HTTP/1.1");
});

test("a name without a tag means latest, never all tags", async () => {
  const { requests } = await pull(progress(), "team/app");
  expect(requests[1]).toContain("fromImage=docker.io%2Fteam%2Fapp&tag=latest");
});

test("credentials travel in their header only", async () => {
  const credentials = { username: "me", password: "secret" };
  const { heads, requests } = await pull(progress(), "team/app", { credentials });
  const header = /^x-registry-auth: (.*)$/im.exec(heads[1] ?? "")?.[1] ?? "";
  expect(JSON.parse(Buffer.from(header, "base64url").toString())).toEqual(credentials);
  expect(requests.join()).not.toContain("secret");
});

describe.each([
  ["image-not-found", "manifest for team/app:1 not found: manifest unknown: manifest unknown"],
  ["image-denied", "pull access denied for team/app, repository does not exist or may require 'docker login'"],
  ["image-denied", "unauthorized: authentication required"],
  ["wrong-architecture", "no matching manifest for linux/amd64 in the manifest list entries"],
  ["disk-full", "write /var/lib/docker/tmp/x: no space left on device"],
  ["registry", "Get https://registry.invalid/v2/: dial tcp: lookup registry.invalid: no such host"],
  ["registry", "received unexpected HTTP status: 503 Service Unavailable"],
  ["registry", "unexpected EOF"],
  ["registry-busy", "toomanyrequests: You have reached your pull rate limit"],
  ["registry-busy", "received unexpected HTTP status: 429 Too Many Requests"],
  ["image-corrupt", "filesystem layer verification failed for digest sha256:00"],
])("the code %s", (code, words) => {
  test(`is told when the pull is refused with "${words}"`, async () => {
    const refusal = pull((socket) => answer(socket, 500, { message: words }));
    await expect(refusal).rejects.toMatchObject({ code, message: expect.stringContaining(words) as string });
  });

  test(`is told when the pull ends with "${words}" halfway`, async () => {
    await expect(pull(progress({ status: "x" }, { error: words }))).rejects.toMatchObject({ code });
  });
});

test("a repository that does not exist is told by its status alone", async () => {
  await expect(pull((socket) => answer(socket, 404, { message: "?" }))).rejects.toMatchObject({
    code: "image-not-found",
  });
});

test("an engine that dies halfway through a pull is unreachable", async () => {
  const dying = pull((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"status":"x"}\r\n'));
  await expect(dying).rejects.toMatchObject({ code: "unreachable" });
});

test.each(["", "UPPER", "a b", "../../containers/x", "name:tag:tag", "a/../b", "-x", "x@sha256:short"])(
  "%j is a bad reference, and the engine is not even asked",
  async (reference) => {
    const asked: string[] = [];
    await expect(pull(() => asked.push("asked"), reference)).rejects.toMatchObject({ code: "bad-reference" });
    expect(asked).toEqual([]);
  },
);

test("credentials are padded, because Docker ignores them otherwise", async () => {
  for (const username of ["a", "ab", "abc"]) {
    const { heads } = await pull(progress(), "team/app", { credentials: { username, password: "p" } });
    const header = /^x-registry-auth: (.*)$/im.exec(heads[1] ?? "")?.[1] ?? "";
    expect(header.length % 4).toBe(0);
  }
});
