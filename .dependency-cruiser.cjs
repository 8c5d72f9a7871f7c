// The import table of docs/architecture.md, as rules. scripts/check-boundaries.ts also asserts that modules were seen.

module.exports = {
  forbidden: [
    { name: "no-cycle", severity: "error", from: {}, to: { circular: true } },
    {
      name: "protocol-is-a-leaf",
      comment: "the words between processes import zod, nothing else",
      severity: "error",
      from: { path: "^src/protocol", pathNot: "\\.test\\.ts$" },
      to: { pathNot: "^src/protocol|node_modules/zod" },
    },
    {
      name: "lib-is-a-leaf",
      severity: "error",
      from: { path: "^src/lib", pathNot: "\\.test\\.ts$" },
      to: { path: "^src/", pathNot: "^src/lib" },
    },
    {
      name: "config-is-pure",
      comment: "no I/O, no clock, no other part of ours but lib",
      severity: "error",
      from: { path: "^src/config", pathNot: "\\.test\\.ts$" },
      to: { path: "^src/|^(node:)?(fs|fs/promises|net|http|https|child_process|os|timers|timers/promises|process)$", pathNot: "^src/(config|lib)" },
    },
    {
      name: "control-plane-stands-alone",
      severity: "error",
      from: { path: "^src/control-plane" },
      to: { path: "^src/(launch-agent|task-agent|engine|cli)" },
    },
    {
      name: "launch-agent-stands-alone",
      severity: "error",
      from: { path: "^src/launch-agent" },
      to: { path: "^src/(control-plane|task-agent|cli|config)" },
    },
    {
      name: "task-agent-stands-alone",
      comment: "it goes into foreign containers: small, and no word of ours but the protocol",
      severity: "error",
      from: { path: "^src/task-agent" },
      to: { path: "^src/(control-plane|launch-agent|engine|cli|config)" },
    },
    {
      name: "engine-stands-alone",
      severity: "error",
      from: { path: "^src/engine" },
      to: { path: "^src/", pathNot: "^src/(engine|lib)" },
    },
    {
      name: "no-dockerode-in-the-product",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "node_modules/(dockerode|docker-modem)" },
    },
    {
      name: "only-the-store-speaks-sql",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/control-plane/store" },
      to: { path: "node_modules/(kysely|pg)|^(node:)?sqlite$" },
    },
    {
      name: "only-blobs-speak-s3",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/control-plane/blobs" },
      to: { path: "node_modules/@aws-sdk" },
    },
    {
      name: "src-does-not-need-tests",
      severity: "error",
      from: { path: "^src/", pathNot: "\\.test\\.ts$" },
      to: { path: "^(test|scripts)/|\\.test\\.ts$" },
    },
  ],
  options: {
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
