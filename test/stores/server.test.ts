import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { agentApi, WorkspaceLayers } from "../../src/protocol/agent-api.ts";
import type { Held } from "../fakes/fake-agent.ts";
import { configOf, jobEnds, storyOf, temporaryControlPlane } from "../fakes/temporary-control-plane.ts";
import { storeEnvironmentOf } from "../fakes/test-store.ts";
import { S3Server } from "./support/s3-server.ts";
import { ServerProcess } from "./support/server-process.ts";

/** Two servers over one database and one bucket, which a control plane of the test shares. */
async function shared() {
  const s3 = await S3Server.start();
  const bucket = await s3.bucket("cofferdam");
  const plane = await temporaryControlPlane({ bucket });
  const { COFFERDAM_DATABASE_URL: url } = await storeEnvironmentOf(join(plane.directory, "data"));
  const file = async (name: string, secret: string | undefined): Promise<string> => {
    const path = join(plane.directory, name);
    await writeFile(path, `${secret}\n`);
    return path;
  };
  const environment = {
    COFFERDAM_DATABASE_URL_FILE: await file("url", url),
    COFFERDAM_S3_ENDPOINT: bucket.endpoint,
    COFFERDAM_S3_BUCKET: bucket.name,
    COFFERDAM_S3_ACCESS_KEY_ID: bucket.credentials.accessKeyId,
    COFFERDAM_S3_SECRET_ACCESS_KEY_FILE: await file("key", bucket.credentials.secretAccessKey.reveal()),
  };
  const start = async (name: string) =>
    await ServerProcess.start({ ...environment, COFFERDAM_DATA_DIRECTORY: join(plane.directory, name) });
  const [one, two] = [await start("one"), await start("two")];
  return {
    plane,
    one,
    two,
    claim: async ({ agent }: ServerProcess): Promise<Held> => {
      const held = await agent.claim(plane.token, { waitMs: 10_000 });
      if (!held) throw new Error("no task");
      return held;
    },
    keys: async () => {
      const { Contents = [] } = await s3.client.send(new ListObjectsV2Command({ Bucket: bucket.name }));
      return Contents.map(({ Key = "" }) => Key);
    },
    [Symbol.asyncDispose]: async () => {
      for (const each of [one, two, plane, s3]) await each[Symbol.asyncDispose]();
    },
  };
}

test("two servers share rows and blobs, with secrets from files", { timeout: 60_000 }, async () => {
  await using site = await shared();
  const { plane, one, two } = site;
  const { id } = await plane.start(configOf(["save", { restore: { requires: ["save"] } }]));
  const bytes = randomBytes(9 * 1024 * 1024);

  const save = await site.claim(one);
  const saved = await save.call("PUT", `${agentApi.cache}?key=k`, { body: bytes });
  await save.call("PUT", `${agentApi.artifacts}?path=${encodeURIComponent("a/b c.txt")}`, { body: "artifact" });
  await save.call("PUT", `${agentApi.workspace}?step=100`, { body: "layer" });
  const waiting = site.claim(two);
  await save.finish("success", "said");
  const restore = await waiting;
  const restored = await restore.call("GET", `${agentApi.cache}?key=k`);
  const { json } = await restore.call("GET", agentApi.workspace);
  const [layer] = WorkspaceLayers.parse(json).layers;
  const attached = await restore.call("GET", `${agentApi.workspace}/${layer?.id}`);
  await restore.finish();

  expect(saved.status).toBe(201);
  expect(restored.bytes.equals(bytes)).toBe(true);
  expect(attached.bytes.toString()).toBe("layer");
  expect(jobEnds(await storyOf(plane.controlPlane, id))).toEqual({ save: "success", restore: "success" });
  expect((await site.keys()).map((key) => key.split("/")[0])).toEqual(["artifacts", "caches", "workspaces"]);
  expect(existsSync(join(plane.directory, "one", "cofferdam.db"))).toBe(false);
});

test("nothing is left in the bucket of a pipeline that is not kept any more", { timeout: 60_000 }, async () => {
  await using site = await shared();
  await site.plane.start(configOf(["build"]));
  const task = await site.claim(site.one);
  await task.call("PUT", `${agentApi.cache}?key=k`, { body: "cache" });
  await task.call("PUT", `${agentApi.artifacts}?path=a`, { body: "artifact" });
  await task.finish();

  await site.plane.controlPlane.prune({ keepPipelines: 0, maxAgeMs: -1, maxBytes: 0 }, new AbortController().signal);

  expect(await site.keys()).toEqual([]);
});

test("settings that do not go together are said", async () => {
  const problem = async (environment: Record<string, string>) =>
    await ServerProcess.start({ COFFERDAM_DATA_DIRECTORY: "/nowhere", ...environment }).then(
      () => "none",
      (error: unknown) => (error instanceof Error ? error.message : ""),
    );

  expect(await problem({ COFFERDAM_S3_ENDPOINT: "http://127.0.0.1:1" })).toContain("COFFERDAM_S3_BUCKET is missing");
  expect(await problem({ COFFERDAM_S3_BUCKET: "b", COFFERDAM_S3_ACCESS_KEY_ID: "k" })).toContain("set both, or none");
  expect(await problem({ COFFERDAM_DATABASE_URL: "mysql://x" })).toContain("is not of the form postgres://");
});
