import { describe, expect, test } from "vitest";
import type { WatchEvent } from "../../../protocol/watch.ts";
import { apply, emptyModel } from "../model.ts";
import { plainView } from "./plain.ts";
import { styler } from "./text.ts";

const task = { jobId: "j1", taskId: "t1" };

/** What a run looks like, told by its events. */
const story: WatchEvent[] = [
  {
    type: "pipeline",
    id: "p",
    number: 7,
    atMs: 0,
    workflows: [
      {
        id: "w",
        name: "main",
        jobs: [
          { id: "j1", name: "test", type: "build", requires: [], parallelism: 1 },
          { id: "j2", name: "deploy", type: "build", requires: ["j1"], parallelism: 1 },
        ],
      },
    ],
  },
  { type: "task", ...task, index: 0, attempt: 1, status: "queued", atMs: 0 },
  { type: "job", id: "j1", status: "running", atMs: 1000 },
  { type: "task", ...task, index: 0, attempt: 1, status: "running", atMs: 1000 },
  { type: "step-started", ...task, step: 100, name: "Run tests", kind: "run", atMs: 1100 },
  { type: "output", ...task, step: 100, stream: "stdout", offset: 0, data: Buffer.from("one\ntw").toString("base64") },
  {
    type: "output",
    ...task,
    step: 100,
    stream: "stdout",
    offset: 6,
    data: Buffer.from("o\u001b[2Jx").toString("base64"),
  },
  { type: "step-ended", ...task, step: 100, outcome: { kind: "exited", code: 7 }, atMs: 3000 },
  { type: "test-results", ...task, total: 5, failed: 2 },
  { type: "artifact", ...task, path: "log.txt", sizeBytes: 3 },
  { type: "task", ...task, index: 0, attempt: 1, status: "failed", atMs: 3400 },
  { type: "job", id: "j1", status: "failed", atMs: 3400 },
  { type: "job", id: "j2", status: "not_run", reason: "test ended as failed", atMs: 3400 },
  { type: "workflow", id: "w", status: "failed", atMs: 3400 },
  { type: "pipeline-ended", id: "p", atMs: 3400 },
];

async function show(events: WatchEvent[], tail?: string): Promise<string> {
  let shown = "";
  const stdout = { write: (text: string) => (shown += text) };
  const view = plainView({ stdout, style: styler(false), colours: false, tail });
  const model = emptyModel();
  for (const event of events) {
    apply(model, event);
    view.event(event, model);
  }
  await view.end(model, { artifactsDirectory: "/data/artifacts/7", stepOutput: async function* () {} });
  return shown;
}

describe("plain view", () => {
  test("puts the job before every line, keeps lines whole, and disarms control characters", async () => {
    const shown = await show(story);

    expect(shown).toContain("[test] ▸ Run tests\n[test] one\n");
    expect(shown).toMatch(/\[test\] two.*x\n/);
    expect(shown).not.toContain("\u001b");
    expect(shown).toContain("[test] ✗ Run tests: exit code 7");
  });

  test("disarms names, too, which are as foreign as what is written", async () => {
    const named = JSON.stringify(story).replace('"name":"test"', String.raw`"name":"te\u001b]0;pwned\u0007st"`);

    const shown = await show(JSON.parse(named) as WatchEvent[]);

    expect(shown).not.toMatch(/[\u001b\u0007]/);
  });

  test("ends with what every job came to, what was not run and why, and where artifacts lie", async () => {
    const shown = await show(story);

    expect(shown).toMatch(/✗ test +failed +2\.4s +3\/5 tests passed, 1 artifact/);
    expect(shown).toMatch(/- deploy +not_run +test ended as failed/);
    expect(shown).toContain("1 failed, 1 not_run · 3.4s");
    expect(shown).toContain("artifacts: /data/artifacts/7");
  });

  test("with --tail shows the output of that job only", async () => {
    const shown = await show(story, "deploy");

    expect(shown).not.toContain("[test] one");
    expect(shown).toContain("[test] failed");
  });
});
