import { describe, expect, test } from "vitest";
import { drawMermaid } from "./mermaid.ts";
import { drawTree } from "./tree.ts";
import type { WorkflowGraph } from "./workflow-graph.ts";

const after = (...names: string[]) => names.map((name) => ({ name, statuses: [] }));

const diamond: WorkflowGraph = {
  name: "main",
  jobs: [
    { name: "build", requires: [] },
    { name: "lint", requires: after("build") },
    { name: "test", requires: after("build") },
    { name: "hold", type: "approval", requires: after("test") },
    { name: "deploy", requires: after("lint", "hold") },
    { name: "tell", requires: [{ name: "test", statuses: ["failed", "canceled"] }] },
  ],
};

describe("tree", () => {
  test("a job stands once, under the deepest of what it waits for", () => {
    expect(drawTree([diamond, { name: "empty", jobs: [] }])).toBe(`workflow main
└─ build
   ├─ lint
   └─ test
      ├─ hold (approval)
      │  └─ deploy (also after lint)
      └─ tell (when failed or canceled)

workflow empty
`);
  });

  test("what a job waits for is told in short, and control characters are not let through", () => {
    const names = Array.from({ length: 9 }, (_, index) => `n${index}`);
    const jobs = [
      ...names.map((name) => ({ name, requires: [] })),
      { name: "last\u001b[31m", requires: after(...names) },
    ];

    const lines = drawTree([{ name: "wide", jobs }]).split("\n");

    expect(lines.slice(-3)).toEqual(["└─ n8", "   └─ last\ufffd[31m (also after n0, n1, n2, n3 and 4 more)", ""]);
  });

  test("a chain of two thousand jobs is drawn", () => {
    const jobs = Array.from({ length: 2_000 }, (_, index) => ({
      name: `j${index}`,
      requires: index === 0 ? [] : after(`j${index - 1}`),
    }));

    expect(drawTree([{ name: "long", jobs }]).split("\n")).toHaveLength(2_002);
  });
});

test("mermaid gets a box a workflow, an arrow a requirement, and no character that it would trip over", () => {
  expect(drawMermaid([diamond, { name: 'say "hi" #1', jobs: [{ name: "x", requires: after("filtered-out") }] }])).toBe(
    `flowchart LR
  subgraph w0 ["main"]
    w0j0["build"]
    w0j1["lint"]
    w0j2["test"]
    w0j3(["hold: approval"])
    w0j4["deploy"]
    w0j5["tell"]
  end
  w0j0 --> w0j1
  w0j0 --> w0j2
  w0j2 --> w0j3
  w0j1 --> w0j4
  w0j3 --> w0j4
  w0j2 -->|"failed or canceled"| w0j5
  subgraph w1 ["say #quot;hi#quot; #35;1"]
    w1j0["x"]
  end
`,
  );
});
