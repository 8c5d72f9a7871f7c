import { expect, test } from "vitest";
import type { WatchEvent } from "../../../protocol/watch.ts";
import { apply, emptyModel } from "../model.ts";
import { liveView } from "./live.ts";
import { styler } from "./text.ts";

const task = { jobId: "j", taskId: "t" };
const jobs = [{ id: "j", name: "test", type: "build", requires: [], parallelism: 1 }];
const story: WatchEvent[] = [
  { type: "pipeline", id: "p", number: 1, atMs: 0, workflows: [{ id: "w", name: "main", jobs }] },
  { type: "task", ...task, index: 0, attempt: 1, status: "queued", atMs: 0 },
  { type: "job", id: "j", status: "running", atMs: 0 },
  { type: "step-started", ...task, step: 100, name: "Run tests", kind: "run", atMs: 0 },
  { type: "step-ended", ...task, step: 100, outcome: { kind: "exited", code: 7 }, atMs: 900 },
  { type: "job", id: "j", status: "failed", atMs: 1000 },
  { type: "pipeline-ended", id: "p", atMs: 1000 },
];

test("shows the whole output of a step that failed, fetched when it is needed, and no live line is left behind", async () => {
  let shown = "";
  const stdout = { write: (text: string) => (shown += text), columns: 60, rows: 20 };
  const stepOutput = async function* () {
    yield Buffer.from("ok 1\nnot o");
    yield Buffer.from("k 2\u001b]0;title\u0007\n");
  };
  const view = liveView({ stdout, style: styler(false), colours: false, tail: undefined, stepOutput, now: () => 500 });
  const model = emptyModel();

  for (const event of story) {
    apply(model, event);
    view.event(event, model);
  }
  await view.end(model, { artifactsDirectory: undefined, stepOutput });

  expect(shown).toContain("── test ▸ Run tests\nok 1\nnot ok 2");
  expect(shown).toContain("\n── exit code 7\n");
  expect(shown).not.toContain("\u001b]");
  expect(shown).toMatch(/✗ test +failed +1\.0s\n1 failed · 1\.0s\n$/);
});
