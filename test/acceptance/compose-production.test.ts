import { execFile } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Composed, dockerOk, lines, root, until } from "./support/compose.ts";

const config =
  "{version: 2.1, jobs: {j: {machine: true, resource_class: local/default, steps: [{run: echo in production}]}}, workflows: {w: {jobs: [j]}}}";

let directory: string;
let production: Composed;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cofferdam-production-"));
  await cp(join(root, "compose"), join(directory, "compose"), { recursive: true });
  await promisify(execFile)("sh", [join(directory, "compose", "make-secrets.sh"), "cofferdam.test"]);
  production = await Composed.open(join(directory, "compose", "production.yml"), {
    COFFERDAM_POSTGRES_IMAGE: "cofferdam/test-postgres:dev",
  });
  await production.compose("up", "--detach");
});

afterAll(async () => {
  await production[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

test("runs a job over HTTPS, with its rows in PostgreSQL", async () => {
  // The example repository of the image, served where the control plane is.
  const [id = ""] = await production.containers("control-plane");
  await dockerOk(["exec", "--detach", id, "git", "daemon", "--base-path=/opt/cofferdam/repositories", "--export-all"]);
  await until(
    async () => (await production.exec("control-plane", "git", "ls-remote", "git://localhost/pipeline")).code === 0,
  );
  await production.exec("control-plane", "sh", "-c", `printf %s '${config}' > /tmp/config.yml`);

  const repository = ["--repo", "git://localhost/pipeline", "-b", "main"];
  const command = ["cofferdam", "trigger", "-c", "/tmp/config.yml", ...repository, "-f"];
  const followed = await production.exec("control-plane", ...command);

  expect(followed.stdout + followed.stderr).toContain("in production");
  expect(followed.code).toBe(0);
  expect((await production.exec("control-plane", "ls", "/var/lib/cofferdam")).stdout).not.toContain(".db");
});

test("no secret is in what the engine tells about a container", async () => {
  const ids = lines(await production.compose("ps", "--all", "--quiet"));

  const told = await dockerOk(["inspect", ...ids]);

  const { stdout } = await production.exec(
    "control-plane",
    "cat",
    "/run/secrets/admin_token",
    "/run/secrets/database_url",
  );
  expect(lines(stdout).map((secret) => told.includes(secret))).toEqual([false, false]);
  expect(told).not.toMatch(/postgres:\/\/cofferdam:/);
});
