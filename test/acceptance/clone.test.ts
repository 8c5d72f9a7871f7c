import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { rootCertificates } from "node:tls";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { dockerOk, lines, root } from "./support/compose.ts";

const image = "cofferdam/launch-agent:of-a-clone";

let clone: string;

beforeEach(async () => {
  clone = await mkdtemp(join(tmpdir(), "cofferdam-clone-"));
});

afterEach(async () => {
  await rm(clone, { recursive: true, force: true });
  await dockerOk(["rmi", "--force", "--no-prune", image]);
});

test("a clone builds with nothing but an engine: no Node, no packages and no bundle of the host", {
  timeout: 600_000,
}, async () => {
  await copyTracked(clone);

  const arguments_ = [
    "--build-arg",
    `EXTRA_CA=${await localAuthorities()}`,
    "--target",
    "launch-agent",
    "--tag",
    image,
  ];
  await dockerOk(["build", ...arguments_, "."], { cwd: clone });

  expect(await dockerOk(["run", "--rm", "--read-only", "--cap-drop=ALL", image, "--version"])).toMatch(
    /^\d+\.\d+\.\d+$/,
  );
});

/** What git knows of, as it is now. */
async function copyTracked(directory: string): Promise<void> {
  const { stdout } = await promisify(execFile)("git", ["ls-files"], { cwd: root, maxBuffer: 1 << 26 });
  for (const path of lines(stdout)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await cp(join(root, path), join(directory, path));
  }
}

/** Behind a proxy that signs anew, NODE_EXTRA_CA_CERTS is how this machine knows its authority: alone, or among all others. */
async function localAuthorities(): Promise<string> {
  const file = process.env["NODE_EXTRA_CA_CERTS"];
  if (file === undefined) return "";
  const known = new Set(rootCertificates.map((pem) => new X509Certificate(pem).fingerprint256));
  const pems = (await readFile(file, "utf8")).match(/-----BEGIN CERTIFICATE-----[^]+?-----END CERTIFICATE-----/g) ?? [];
  const own = pems.filter((pem) => !known.has(new X509Certificate(pem).fingerprint256));
  return own.join("\n").length < 120_000 ? own.join("\n") : "";
}
