import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { s3ServerBinary } from "../stores/support/s3-server.ts";
import { Composed, dockerOk, eventually, leftovers, lines, root } from "./support/compose.ts";

const bucket = "builds";
const objects = `/store/data/${bucket}`;
const key = { "s3-access-key-id": "cofferdam-of-tests", "s3-secret-access-key": "not-known-to-anybody-else" };
const config = `version: 2.1
jobs:
  keep:
    machine: true
    resource_class: local/default
    steps:
      - run: echo in production; mkdir out; echo kept in a bucket > out/words.txt
      - store_artifacts: {path: out/words.txt}
      - save_cache: {key: words, paths: [out]}
  use:
    machine: true
    resource_class: local/default
    steps:
      - restore_cache: {keys: [words]}
      - run: sed "s/^/restored, /" out/words.txt
workflows: {w: {jobs: [keep, use: {requires: [keep]}]}}
`;

let directory: string;
let production: Composed;
let before: string[];

beforeAll(async () => {
  before = await leftovers();
  directory = await mkdtemp(join(tmpdir(), "cofferdam-production-"));
  await cp(join(root, "compose"), join(directory, "compose"), { recursive: true });
  await mkdir(join(directory, "compose", "secrets"), { recursive: true });
  for (const [file, text] of Object.entries(key))
    await writeFile(join(directory, "compose", "secrets", file), `${text}\n`, { mode: 0o600 });
  await promisify(execFile)("sh", [join(directory, "compose", "make-secrets.sh"), "cofferdam.test"]);
  const settings = {
    COFFERDAM_POSTGRES_IMAGE: "cofferdam/test-postgres:dev",
    COFFERDAM_S3_BUCKET: bucket,
    COFFERDAM_S3_ENDPOINT: "http://s3:7070",
    S3_SERVER: s3ServerBinary(),
  };
  const s3 = join(import.meta.dirname, "support", "s3.yml");
  production = await Composed.open(join(directory, "compose", "production.yml"), settings, [s3]);
  await production.compose("up", "--detach");
});

afterAll(async () => {
  await production[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

test("runs jobs over HTTPS, with rows in PostgreSQL, and artifacts and caches in a bucket", async () => {
  // The example repository of the image, served where the control plane is.
  const [id = ""] = await production.containers("control-plane");
  await dockerOk(["exec", "--detach", id, "git", "daemon", "--base-path=/opt/cofferdam/repositories", "--export-all"]);
  await eventually(
    async () => await production.exec("control-plane", "git", "ls-remote", "git://localhost/pipeline"),
    ({ code }) => code === 0,
  );
  await production.write("control-plane", "/tmp/config.yml", config);

  const repository = ["--repo", "git://localhost/pipeline", "-b", "main"];
  const command = ["cofferdam", "trigger", "-c", "/tmp/config.yml", ...repository, "-f"];
  const followed = await production.exec("control-plane", ...command);

  expect(followed.stdout + followed.stderr).toContain("in production");
  expect(followed.stdout).toContain("restored, kept in a bucket");
  expect(followed.code).toBe(0);
  const stored = lines((await production.exec("s3", "find", objects, "-type", "f", "-printf", "%P\n")).stdout);
  const artifact = stored.find((object) => object.startsWith("artifacts/") && object.endsWith("/words.txt"));
  expect((await production.exec("s3", "cat", `${objects}/${artifact}`)).stdout).toBe("kept in a bucket\n");
  expect(stored.filter((object) => object.startsWith("caches/"))).toHaveLength(1);
  const data = await production.exec("control-plane", "find", "/var/lib/cofferdam", "-name", "*.db");
  expect(data).toMatchObject({ code: 0, stdout: "" });
  const blobs = await production.exec("control-plane", "find", "/var/lib/cofferdam", "-path", "*/artifacts/*");
  expect(blobs).toMatchObject({ code: 0, stdout: "" });
});

test("no secret is in what the engine tells about a container, nor in a log", async () => {
  const ids = lines(await production.compose("ps", "--all", "--quiet"));

  const told = (await dockerOk(["inspect", ...ids])) + (await production.compose("logs"));

  const files = ["admin_token", "database_url", "s3_access_key_id", "s3_secret_access_key"];
  const { stdout } = await production.exec("control-plane", "cat", ...files.map((name) => `/run/secrets/${name}`));
  const secrets = lines(stdout);
  expect(secrets).toEqual(expect.arrayContaining(Object.values(key)));
  expect(secrets.filter((secret) => told.includes(secret))).toEqual([]);
  expect(told).not.toMatch(/postgres:\/\/cofferdam:/);
});

test("down --volumes leaves nothing of ours", async () => {
  await production.compose("down", "--volumes");

  const left = async (): Promise<string[]> => await leftovers(before, { project: "cofferdam-production" });
  expect(await eventually(left, ({ length }) => length === 0)).toEqual([]);
});
