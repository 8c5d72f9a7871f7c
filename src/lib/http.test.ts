import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);
const sources = join(import.meta.dirname, "..");

test.each(["engine/docker/index.ts", "launch-agent/health/server.ts", "launch-agent/health/ask.ts", "cli/exec/run.ts"])(
  "%s loads all that it needs, and not node's fetch with it",
  async (file) => {
    const script = `
      await import(${JSON.stringify(join(sources, file))});
      const loaded = process.moduleLoadList.map((module) => module.split(" ").at(-1));
      console.log(loaded.filter((name) => name === "http" || name.endsWith("/undici")).join());
    `;

    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script]);

    expect(stdout.trim()).toBe("http");
  },
);
