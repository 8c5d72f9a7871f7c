import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { rootCertificates } from "node:tls";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Composed, eventually, leftovers, lines, root } from "../acceptance/support/compose.ts";

const run = promisify(execFile);
const engine = join(root, "scripts", "setup-bare-engine.sh");
/** As the file says. */
const up = ["up", "--build", "--detach", "--scale", "launch-agent=3"];
const example = ["--repo", "git://example/pipeline", "--branch", "main", "--follow"];
const trigger = ["cofferdam", "trigger", "--config", "/opt/cofferdam/example/.circleci/config.yml", ...example];

let clone: string;
let dockerHost: string;
let quickstart: Composed;

beforeAll(async () => {
  clone = await mkdtemp(join(tmpdir(), "cofferdam-clone-"));
  await copyTracked(clone);
  dockerHost = (await run("sh", [engine, "start"])).stdout.trim();
  quickstart = await Composed.open(join(clone, "compose", "quickstart.yml"), {
    DOCKER_HOST: dockerHost,
    COFFERDAM_ENGINE_SOCKET: dockerHost.replace("unix://", ""),
    COFFERDAM_BUILD_CA: await localAuthorities(),
    COFFERDAM_BUILD_REGISTRY: await npmRegistry(),
  });
});

afterAll(async () => {
  await run("sh", [engine, "remove"]);
  await rm(clone, { recursive: true, force: true });
});

test("a clone and an engine without an image are minutes away from a green pipeline", async () => {
  const began = performance.now();
  const seconds = (): string => `${Math.round((performance.now() - began) / 1000)} s`;

  await quickstart.compose(...up);
  const served = seconds();
  const followed = await quickstart.exec("control-plane", ...trigger);

  process.stdout.write(`quickstart from nothing: served after ${served}, first green pipeline after ${seconds()}\n`);
  expect(followed.stdout + followed.stderr).toContain("4 success");
  expect(followed.code).toBe(0);
});

test("a second up changes nothing, and a control plane that is started again is found by its agents", async () => {
  const before = lines(await quickstart.compose("ps", "--all", "--quiet")).toSorted();

  await quickstart.compose(...up);
  const after = lines(await quickstart.compose("ps", "--all", "--quiet")).toSorted();
  await quickstart.compose("restart", "control-plane");
  await eventually(
    async () => await quickstart.exec("control-plane", "cofferdam", "tasks"),
    ({ code }) => code === 0,
  );
  const followed = await quickstart.exec("control-plane", ...trigger);

  expect(after).toEqual(before);
  expect(followed.stdout + followed.stderr).toContain("4 success");
  expect(followed.code).toBe(0);
});

test("down --volumes leaves nothing", async () => {
  await quickstart.compose("down", "--volumes");

  const left = async (): Promise<string[]> => await leftovers([], { env: { DOCKER_HOST: dockerHost } });
  expect(await eventually(left, ({ length }) => length === 0)).toEqual([]);
});

/** What git knows of, as it is now. Whoever the checkout belongs to. */
async function copyTracked(directory: string): Promise<void> {
  const trusting = ["-c", "safe.directory=*", "ls-files"];
  const { stdout } = await run("git", trusting, { cwd: root, maxBuffer: 1 << 26 });
  for (const path of lines(stdout)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await cp(join(root, path), join(directory, path));
  }
}

/** Where this machine's npm takes packages from, if that is another than everybody's; empty where not. */
async function npmRegistry(): Promise<string> {
  const url = (await run("npm", ["config", "get", "registry"], { cwd: root })).stdout.trim();
  return url === "https://registry.npmjs.org/" ? "" : url;
}

/** Behind a proxy that signs anew: how this machine knows its authority, alone or among all others. */
async function localAuthorities(): Promise<string> {
  const { NODE_EXTRA_CA_CERTS, SSL_CERT_FILE } = process.env;
  const file = [NODE_EXTRA_CA_CERTS, SSL_CERT_FILE, "/etc/ssl/certs/ca-certificates.crt"].find(
    (path) => path !== undefined && existsSync(path),
  );
  if (file === undefined) return "";
  const known = new Set(rootCertificates.map((pem) => new X509Certificate(pem).fingerprint256));
  const pems = (await readFile(file, "utf8")).match(/-----BEGIN CERTIFICATE-----[^]+?-----END CERTIFICATE-----/g) ?? [];
  const own = pems.filter((pem) => !known.has(new X509Certificate(pem).fingerprint256));
  return own.join("\n").length < 120_000 ? own.join("\n") : "";
}
