import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";

const main = join(import.meta.dirname, "../../src/launch-agent/main.ts");
const settings = {
  CIRCLECI_RUNNER_API_URL: "http://127.0.0.1:1",
  CIRCLECI_RUNNER_API_AUTH_TOKEN: "very-secret-token",
  CIRCLECI_RUNNER_NAME: "runner",
};

async function run(env: Record<string, string>): Promise<{ code: number | null; stderr: string; stdout: string }> {
  const child = spawn(process.execPath, [main], { env: { PATH: process.env["PATH"], ...env } });
  const code = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await code, stdout, stderr };
}

test("says which settings are missing, and exits with 2", async () => {
  const { code, stderr } = await run({ CIRCLECI_RUNNER_API_AUTH_TOKEN: "very-secret-token" });

  expect(code).toBe(2);
  expect(stderr).toContain("CIRCLECI_RUNNER_API_URL: is not set");
  expect(stderr).not.toContain("very-secret-token");
});

test("says that there is no engine, and exits with 3", async () => {
  const { code, stderr, stdout } = await run({ ...settings, DOCKER_HOST: "unix:///nowhere/docker.sock" });

  expect(code).toBe(3);
  expect(stderr).toContain("/nowhere/docker.sock");
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(stdout + stderr).not.toContain("very-secret-token");
});
